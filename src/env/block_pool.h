#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "env/shard.h"

namespace paceline::env {

// Blocks of memory for bytes on their way: page-aligned, backed by huge pages where the system has
// them, and touched before use, since the first touch of memory that the host took back costs
// 2.5 CPU-s a GiB. A block comes back by itself: the pool keeps a reference to each and reuses
// those that nobody else refers to. One spare block is prepared ahead on a thread that may block.
// What was free for some seconds on end goes back to the system. Owned by one shard.
class BlockPool {
 public:
  // Remembers up to `blocks_max` blocks.
  BlockPool(Shard& shard, uint64_t block_bytes, size_t blocks_max);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  uint64_t block_bytes() const { return block_bytes_; }
  // From now on a block is kept ready, so that also the first take() finds it.
  void keep_ready();
  // A block of at least `bytes_min`; of exactly block_bytes when that is enough.
  Buffer take(uint64_t bytes_min);
  // A block of block_bytes if there is one now; else nothing, and one is prepared unless blocks_max
  // are in use. For those who have other memory as well.
  Buffer try_take();

  // For tests: blocks remembered, in use or not.
  size_t block_count() const { return blocks_.size(); }

 private:
  Buffer take_known();  // free or spare; nothing if there is none
  void remember(const Buffer& block);
  void prepare_spare();
  void watch();
  void release_idle();

  Shard& shard_;
  const uint64_t block_bytes_;
  const size_t blocks_max_;
  std::vector<Buffer> blocks_;
  size_t free_min_ = 0;  // the fewest free blocks at any time since the last look
  Buffer spare_;
  bool keep_ready_ = false;
  bool preparing_ = false;
  bool taken_ = false;  // since the last look
  bool watching_ = false;
  // What runs later outlives us: the preparing thread, the timer.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Page-aligned memory of exactly `bytes`; `touched`: zeroed and in place.
Buffer allocate_pages(uint64_t bytes, bool touched);
// Page-aligned memory of at least `bytes` that is filled once. From a MiB on it is made of huge
// pages, since to bring small ones in costs as much as to read a disk into them.
Buffer allocate_roomy(uint64_t bytes);

}  // namespace paceline::env
