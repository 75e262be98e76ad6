#include "wal/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

#include "wal/format.h"

namespace paceline::wal {
namespace {

constexpr size_t kHugePageBytes = 2u << 20;
// More references than this and a block is not remembered; 1 GiB of 4 MiB blocks.
constexpr size_t kBlocksMax = 256;
// Free blocks kept for reuse; what is beyond goes back to the system.
constexpr size_t kFreeMax = 8;

size_t alignment_of(size_t bytes) {
  return bytes % kHugePageBytes == 0 ? kHugePageBytes : kPageBytes;
}

struct Pages final : Buffer::Origin {
  void release(std::byte* memory, size_t size) noexcept override {
    ::operator delete(memory, std::align_val_t{alignment_of(size)});
  }
};
Pages pages;

}  // namespace

Buffer allocate_pages(uint64_t bytes, bool touched) {
  CHECK(bytes > 0);
  const size_t alignment = alignment_of(bytes);
  auto* memory = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{alignment}));
  // Only advice: without huge pages the block works as well.
  if (alignment == kHugePageBytes) ::madvise(memory, bytes, MADV_HUGEPAGE);
  if (touched) std::memset(memory, 0, bytes);
  return Buffer::adopt(memory, bytes, pages);
}

BlockPool::BlockPool(env::Shard& shard, uint64_t block_bytes)
    : shard_(shard), block_bytes_(round_to_page(std::max<uint64_t>(block_bytes, kPageBytes))) {
  prepare_spare();
}

Buffer BlockPool::take(uint64_t bytes_min) {
  if (bytes_min > block_bytes_) return allocate_pages(round_to_page(bytes_min), false);
  if (Buffer free = find_free()) return free;
  Buffer block = std::exchange(spare_, Buffer());
  if (!block) block = allocate_pages(block_bytes_, true);
  prepare_spare();
  if (blocks_.size() < kBlocksMax) blocks_.push_back(block);
  return block;
}

Buffer BlockPool::find_free() {
  Buffer found;
  size_t free_count = 0;
  std::erase_if(blocks_, [&](const Buffer& block) {
    if (!block.unique()) return false;
    if (!found) {
      found = block;
      return false;
    }
    return ++free_count > kFreeMax;
  });
  return found;
}

void BlockPool::prepare_spare() {
  if (preparing_ || spare_) return;
  preparing_ = true;
  auto prepared = std::make_shared<Buffer>();
  shard_.offload(
      0, [prepared, bytes = block_bytes_] { *prepared = allocate_pages(bytes, true); },
      [this, alive = std::weak_ptr<bool>(alive_), prepared] {
        if (alive.expired()) return;
        preparing_ = false;
        spare_ = std::move(*prepared);
      });
}

}  // namespace paceline::wal
