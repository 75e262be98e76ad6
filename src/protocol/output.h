#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/endian.h"

namespace paceline::protocol {

// What a message is written into: our own bytes, and slices of other buffers between them that are
// never copied. take() gives the whole as slices in order, ready for a scattered socket write.
// Belongs to one shard; after take() it is empty and can be used again.
class Output {
 public:
  // Room for `size` more own bytes, so that they lie in one block.
  void reserve(size_t size);
  void append(Bytes bytes);
  void append(Slice slice);  // shares the slice's block
  template <std::integral T>
  void put(T value) {
    std::byte bytes[sizeof(T)];
    store_be(bytes, value);
    append(Bytes(bytes));
  }
  // Overwrites four own bytes at the very start: a frame length known only at the end.
  // REQUIRES: they were written by append(Bytes) or put.
  void patch_front_u32(uint32_t value);

  size_t size() const { return size_; }
  std::vector<Slice> take();

 private:
  static constexpr size_t kBlockBytesMin = 512;
  void seal();  // moves the open bytes of the block into the sequence

  std::vector<Slice> sealed_;
  Buffer block_;
  size_t start_ = 0;  // of the open bytes within block_
  size_t end_ = 0;
  size_t size_ = 0;
};

// The bytes of `slices` in one string: for tests, and for what is small.
std::string join(const std::vector<Slice>& slices);

}  // namespace paceline::protocol
