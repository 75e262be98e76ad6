#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace paceline::takeover {

// Different byte strings, numbered in the order in which they came. Memory grows in chunks of bytes
// and with a table of numbers that doubles.
class Visited {
 public:
  Visited();

  // The number of `state`, and whether it is new.
  std::pair<uint32_t, bool> insert(std::string_view state);
  std::string_view at(uint32_t number) const;
  uint32_t size() const { return static_cast<uint32_t>(places_.size()); }
  uint64_t bytes() const;

 private:
  static constexpr size_t kChunkBytes = size_t{1} << 20;
  static constexpr uint32_t kFree = UINT32_MAX;

  struct Place {
    uint32_t chunk;
    uint32_t start;
    uint32_t hash;  // the high half; the rest is compared by bytes
    uint32_t bytes;
  };

  void grow();
  Place store(std::string_view state, uint32_t hash);

  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_used_ = kChunkBytes;
  std::vector<Place> places_;
  std::vector<uint32_t> table_;
};

}  // namespace paceline::takeover
