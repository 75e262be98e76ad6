#pragma once

#include <vector>

#include "stream/image.h"

namespace paceline::stream {

// Where some of what a broker has uploaded of a stream lies, for another one that reads it and does
// not own it. docs/format/passport.md describes the bytes.
struct Excerpt {
  StreamId stream;
  Offset start;  // as of then: where readers begin, and the durable end
  Offset end;
  std::vector<Extent> extents;  // in a row
};

// A reader that has come to the end of them asks again.
inline constexpr size_t kExcerptExtentsMax = 64;

Slice encode_excerpt(const Excerpt& excerpt);
// corrupt: anything does not hold, also that the extents follow each other up to the end at most.
Result<Excerpt> decode_excerpt(const Slice& bytes);

}  // namespace paceline::stream
