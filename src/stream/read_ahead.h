#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/ids.h"

namespace paceline::stream {

// How many blocks of objects a stream fetches ahead of a reader: one for a reader that has just
// come, twice as many each time it goes on where it had stopped; beyond a few only while it still
// has to wait for the store. Remembers the last few readers.
class ReadAhead {
 public:
  static constexpr uint8_t kBlocksCalm = 4;  // of a mebibyte: hides some 2 ms at 2 GB/s
  static constexpr uint8_t kBlocksMax = 32;  // hides 100 ms at 300 MB/s

  // Whether a read that starts at `from` goes on where one had stopped.
  bool knows(Offset from) const {
    return std::ranges::find(readers_, from, &Reader::next) != readers_.end();
  }
  // For a read that starts at `from`.
  size_t blocks(Offset from) const {
    const auto known = std::ranges::find(readers_, from, &Reader::next);
    return known == readers_.end() ? 1 : known->blocks;
  }
  // It has read [from, to), and had to wait for the store or not.
  void note(Offset from, Offset to, bool waited) {
    if (to <= from) return;
    const auto known = std::ranges::find(readers_, from, &Reader::next);
    if (known == readers_.end()) {
      readers_[oldest_] = {to, 2};
      oldest_ = static_cast<uint8_t>((oldest_ + 1) % readers_.size());
      return;
    }
    const uint8_t limit = waited ? kBlocksMax : std::max(known->blocks, kBlocksCalm);
    *known = {to, std::min(limit, static_cast<uint8_t>(known->blocks * 2))};
  }

 private:
  struct Reader {
    Offset next{-1};
    uint8_t blocks = 1;
  };
  std::array<Reader, 4> readers_;
  uint8_t oldest_ = 0;
};

}  // namespace paceline::stream
