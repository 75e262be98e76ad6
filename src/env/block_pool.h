#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "env/shard.h"

namespace paceline::wal {

// Blocks of memory that commits are built in: page-aligned, backed by huge pages where the system
// has them, and touched before use, since the first touch of memory that the host took back costs
// 2.5 CPU-s a GiB. A block comes back by itself: the pool keeps a reference to each and reuses
// those that nobody else refers to. One spare block is prepared ahead on a thread that may block.
// Owned by one shard.
class BlockPool {
 public:
  BlockPool(env::Shard& shard, uint64_t block_bytes);

  // A block of at least `bytes_min`; of exactly block_bytes when that is enough.
  Buffer take(uint64_t bytes_min);

 private:
  void prepare_spare();
  // A block of the pool that nobody else refers to any more; drops those beyond a few.
  Buffer find_free();

  env::Shard& shard_;
  const uint64_t block_bytes_;
  std::vector<Buffer> blocks_;
  Buffer spare_;
  bool preparing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // the preparing thread outlives us
};

// Page-aligned memory of exactly `bytes`; `touched` zeroes it.
Buffer allocate_pages(uint64_t bytes, bool touched);

}  // namespace paceline::wal
