#pragma once

#include <string>
#include <vector>

#include "stream/image.h"

namespace paceline::stream {

// What a broker hands over with a stream, and what the log of the one that adopts it keeps: where
// its objects are, its owner's snapshot, and the batches that are in no object yet.
// docs/format/passport.md describes the bytes; numbers never change.
struct Passport {
  StreamId stream;
  Offset start;
  Offset uploaded_end;
  Epoch epoch{-1};  // of the last batch
  Offset snapshot_end;
  std::string snapshot;         // made by what is below snapshot_end
  std::vector<Extent> extents;  // up to uploaded_end
  std::vector<Batch> tail;      // from there on
  Offset end() const { return tail.empty() ? uploaded_end : tail.back().end(); }
};

// Bounds on the way: what one holds in memory on both sides, and a call between brokers carries.
inline constexpr uint64_t kPassportTailBytesMax = 16ull << 20;
inline constexpr uint64_t kPassportBytesMax = 32ull << 20;

// too_large: the tail or all of it is above its bound. The caller uploads first.
Result<Slice> encode_passport(const Passport& passport);
// The tail's batches are slices of `bytes`. corrupt: anything does not hold, also that every offset
// from the start to the end is covered exactly once; unsupported: a newer format.
Result<Passport> decode_passport(const Slice& bytes);

StreamImage image_of(Passport passport);

}  // namespace paceline::stream
