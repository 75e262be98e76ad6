#include "env/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

#include "env/disk.h"

namespace paceline::env {
namespace {

constexpr size_t kHugePageBytes = 2u << 20;
constexpr size_t kPageBytes = kDirectAlignment;
// A block that was not needed for this long is given back, or at the latest after twice that.
constexpr Duration kIdle = std::chrono::seconds(5);

// Small pieces are the heap's.
struct HeapPages final : Buffer::Origin {
  void release(std::byte* memory, size_t) noexcept override {
    ::operator delete(memory, std::align_val_t{kPageBytes});
  }
};
HeapPages heap_pages;

// Multiples of a huge page come from the system and go back to it at once: the heap would keep
// them.
struct SystemPages final : Buffer::Origin {
  void release(std::byte* memory, size_t size) noexcept override { ::munmap(memory, size); }
};
SystemPages system_pages;

std::byte* map_huge(size_t bytes) {
  const size_t reserved = bytes + kHugePageBytes;
  void* start =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  auto* memory = static_cast<std::byte*>(start);
  const size_t past = reinterpret_cast<uintptr_t>(memory) % kHugePageBytes;
  const size_t before = past == 0 ? 0 : kHugePageBytes - past;
  if (before > 0) ::munmap(memory, before);
  if (before < kHugePageBytes) ::munmap(memory + before + bytes, kHugePageBytes - before);
  // Only advice: without huge pages the block works as well.
  ::madvise(memory + before, bytes, MADV_HUGEPAGE);
  return memory + before;
}

void touch(std::byte* memory, size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (::madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  std::memset(memory, 0, bytes);
}

}  // namespace

Buffer allocate_pages(uint64_t bytes, bool touched) {
  CHECK(bytes > 0);
  if (bytes % kHugePageBytes == 0) {
    std::byte* memory = map_huge(bytes);
    if (touched) touch(memory, bytes);
    return Buffer::adopt(memory, bytes, system_pages);
  }
  auto* memory = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{kPageBytes}));
  if (touched) std::memset(memory, 0, bytes);
  return Buffer::adopt(memory, bytes, heap_pages);
}

Buffer allocate_roomy(uint64_t bytes) {
  constexpr uint64_t kSmallMax = 1u << 20;
  const uint64_t unit = bytes < kSmallMax ? kPageBytes : kHugePageBytes;
  return allocate_pages((bytes + unit - 1) / unit * unit, false);
}

BlockPool::BlockPool(Shard& shard, uint64_t block_bytes, size_t blocks_max)
    : shard_(shard),
      block_bytes_((std::max<uint64_t>(block_bytes, kPageBytes) + kPageBytes - 1) / kPageBytes *
                   kPageBytes),
      blocks_max_(blocks_max) {}

Buffer BlockPool::take(uint64_t bytes_min) {
  if (bytes_min > block_bytes_)
    return allocate_pages((bytes_min + kPageBytes - 1) / kPageBytes * kPageBytes, false);
  if (Buffer known = take_known()) return known;
  Buffer block = allocate_pages(block_bytes_, true);
  remember(block);
  prepare_spare();
  return block;
}

Buffer BlockPool::try_take() {
  Buffer known = take_known();
  if (!known && blocks_.size() < blocks_max_) prepare_spare();
  return known;
}

Buffer BlockPool::take_known() {
  taken_ = true;
  Buffer found;
  size_t free_count = 0;
  for (const Buffer& block : blocks_) {
    if (!block.unique()) continue;
    if (found) {
      ++free_count;
    } else {
      found = block;
    }
  }
  free_min_ = std::min(free_min_, free_count);
  if (found || !spare_) return found;
  Buffer block = std::exchange(spare_, Buffer());
  remember(block);
  if (blocks_.size() < blocks_max_) prepare_spare();
  return block;
}

void BlockPool::remember(const Buffer& block) {
  if (blocks_.size() >= blocks_max_) return;
  blocks_.push_back(block);
  watch();
}

void BlockPool::keep_ready() {
  keep_ready_ = true;
  prepare_spare();
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
        watch();
      });
}

void BlockPool::watch() {
  if (watching_) return;
  watching_ = true;
  shard_.run_at(shard_.now() + kIdle, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) release_idle();
  });
}

void BlockPool::release_idle() {
  size_t free_count = 0;
  size_t released = 0;
  std::erase_if(blocks_, [&](const Buffer& block) {
    if (!block.unique()) return false;
    if (released < free_min_) {
      ++released;
      return true;
    }
    ++free_count;
    return false;
  });
  free_min_ = free_count;
  if (!std::exchange(taken_, false) && !keep_ready_) spare_ = Buffer();
  watching_ = false;
  if (!blocks_.empty() || (spare_ && !keep_ready_)) watch();
}

}  // namespace paceline::env
