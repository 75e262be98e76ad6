#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "env/block_pool.h"

namespace paceline::broker {

// Memory that one connection reads into, and the frames that stand in it. Frames are slices: memory
// is used again only when nobody refers to it. A connection that streams reads into pooled blocks
// of several frames each, so that a frame is never moved and its pages are never new; one that asks
// now and then, or an exhausted pool, makes do with the heap. No length that a peer states makes
// more memory than a few times what it has sent, the pool's blocks apart.
class ReceiveBuffer {
 public:
  // `blocks` outlives it; both are of one shard.
  explicit ReceiveBuffer(env::BlockPool& blocks) : blocks_(blocks) {}
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

  // What was received and not taken, good until the next call.
  Bytes unread() const { return block_.bytes().subspan(from_, to_ - from_); }
  // Where the next bytes go; never empty. `want`: bytes of the frame that unread() begins, as far
  // as known. Then received(), or nothing if the read failed.
  MutableBytes room(size_t want);
  void received(size_t count);
  // The first bytes of unread(). REQUIRES: there are as many.
  Slice take(size_t count);

  // A silent connection lets go of its block; safe while its read waits.
  void release_idle();
  bool holds_block() const { return static_cast<bool>(block_); }

 private:
  void make_room(size_t want);
  Buffer find_memory(size_t want);

  env::BlockPool& blocks_;
  Buffer block_;  // unread: [from_, to_)
  size_t from_ = 0;
  size_t to_ = 0;
  size_t frame_bytes_ = 0;  // of the last frame taken: the next one is likely like it
  size_t asked_ = 0;        // of the last read
  bool drained_ = true;     // the last read got less than it asked for
  // The first bytes after a pause are received here, so that waiting for them holds no block.
  Buffer porch_;
  bool on_porch_ = false;  // the read that is under way
};

}  // namespace paceline::broker
