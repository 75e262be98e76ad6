#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "wal/format.h"

namespace paceline::wal {

// A group that is whole in memory but for its header: it gets its position when it is written.
struct StagedGroup {
  Buffer block;
  size_t start = 0;  // in the block, at a page
  uint32_t entry_count = 0;
  uint32_t body_bytes = 0;
  uint32_t body_crc = 0;

  uint64_t padded_bytes() const { return round_to_page(kGroupHeaderBytes + body_bytes); }
  MutableBytes padded() const { return block.writable().subspan(start, padded_bytes()); }
};

// Copies entries into blocks and forms groups of them, each within one block. Pure but for the
// memory: `take_block(bytes_min)` gives it. What was staged never changes again.
class Stager {
 public:
  using TakeBlock = std::function<Buffer(uint64_t bytes_min)>;
  Stager(uint64_t block_bytes, TakeBlock take_block)
      : block_bytes_(block_bytes), take_block_(std::move(take_block)) {}

  // The one copy of a payload. Returns it where it now stands. Whoever knows its checksum gives it:
  // the group's then covers the payload as it was before the copy. REQUIRES: at most
  // kPayloadBytesMax.
  Slice add(const EntryHeader& header, Bytes payload, std::optional<uint32_t> payload_crc = {});
  // Groups so far, the open one included.
  size_t group_count() const { return groups_.size() + (open_ ? 1 : 0); }
  // Padded bytes of all groups so far.
  uint64_t bytes() const { return closed_bytes_ + (open_ ? group_.padded_bytes() : 0); }
  // Closes the open group and hands over all of them, in order.
  std::vector<StagedGroup> take_groups();

 private:
  void close_group();
  Slice append_entry(StagedGroup& group, const EntryHeader& header, Bytes payload,
                     std::optional<uint32_t> payload_crc);

  const uint64_t block_bytes_;
  TakeBlock take_block_;
  Buffer block_;
  size_t used_ = 0;  // of block_; at a page
  StagedGroup group_;
  bool open_ = false;  // group_ has entries
  std::vector<StagedGroup> groups_;
  uint64_t closed_bytes_ = 0;
};

}  // namespace paceline::wal
