#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/bytes.h"

namespace paceline::env {

// The content of a simulated file: sparse, holes read as zeros, so that a preallocated segment
// costs nothing.
class SimBytes {
 public:
  SimBytes() = default;
  SimBytes(const SimBytes& other) { *this = other; }
  SimBytes& operator=(const SimBytes& other);

  uint64_t size() const { return size_; }
  size_t read(uint64_t position, MutableBytes into) const;  // the count before the end
  void write(uint64_t position, Bytes bytes);
  void resize(uint64_t size);

 private:
  static constexpr size_t kChunk = 16 << 10;
  using Chunk = std::unique_ptr<std::byte[]>;
  std::map<uint64_t, Chunk> chunks_;  // by position / kChunk
  uint64_t size_ = 0;
};

}  // namespace paceline::env
