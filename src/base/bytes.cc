#include "base/bytes.h"

#include <cstdlib>
#include <new>

namespace paceline {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Heap final : Buffer::Origin {
  void release(std::byte* memory, size_t) noexcept override {
    ::operator delete(memory, kAlignment);
  }
};
Heap heap;

}  // namespace

Buffer Buffer::allocate(size_t size) {
  auto* memory = static_cast<std::byte*>(::operator new(size ? size : 1, kAlignment));
  return adopt(memory, size, heap);
}

Buffer Buffer::copy_of(Bytes bytes) {
  Buffer buffer = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

Buffer Buffer::adopt(std::byte* memory, size_t size, Origin& origin) {
  return Buffer(new Block{1, memory, size, &origin});
}

void Buffer::destroy(Block* block) noexcept {
  block->origin->release(block->memory, block->size);
  delete block;
}

}  // namespace paceline
