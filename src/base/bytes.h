#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace paceline {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string to_string(Bytes bytes) {
  return std::string(as_text(bytes));
}

// A reference-counted block of memory. The last Slice or Buffer that refers to it returns it to
// where it came from (the heap, or a pool). Counting is atomic: a block may be held by several
// shards. The bytes themselves are written by one owner and must not change once shared, except
// ranges that nobody has been given a Slice of (the free end of a WAL block).
class Buffer {
 public:
  // How a block's memory goes back when the last reference is dropped; called on that thread.
  struct Origin {
    virtual void release(std::byte* memory, size_t size) noexcept = 0;

   protected:
    ~Origin() = default;
  };

  Buffer() = default;
  static Buffer allocate(size_t size);  // heap, 64-byte aligned, not zeroed
  static Buffer copy_of(Bytes bytes);
  // Takes over `memory`; `origin` must outlive every reference.
  static Buffer adopt(std::byte* memory, size_t size, Origin& origin);

  Buffer(const Buffer& other) noexcept : block_(other.block_) { retain(); }
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  std::byte* data() const { return block_ ? block_->memory : nullptr; }
  size_t size() const { return block_ ? block_->size : 0; }
  MutableBytes writable() const { return {data(), size()}; }
  Bytes bytes() const { return {data(), size()}; }
  // True when this is the only reference: the owner may reuse the memory.
  bool unique() const { return block_ && block_->references.load(std::memory_order_acquire) == 1; }
  bool same_block(const Buffer& other) const { return block_ == other.block_; }

 private:
  struct Block {
    std::atomic<uint32_t> references;
    std::byte* memory;
    size_t size;
    Origin* origin;
  };
  explicit Buffer(Block* block) : block_(block) {}
  void retain() noexcept {
    if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept {
    if (block_ && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(block_);
    block_ = nullptr;
  }
  static void destroy(Block* block) noexcept;

  Block* block_ = nullptr;
};

// A view of bytes that keeps its block alive. Cheap to copy; never owns a copy of the bytes.
class Slice {
 public:
  Slice() = default;
  explicit Slice(Buffer buffer) : view_(buffer.bytes()), buffer_(std::move(buffer)) {}
  Slice(Buffer buffer, Bytes view) : view_(view), buffer_(std::move(buffer)) {}
  static Slice copy_of(Bytes bytes) { return Slice(Buffer::copy_of(bytes)); }

  Bytes bytes() const { return view_; }
  const std::byte* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  const Buffer& buffer() const { return buffer_; }
  Slice subslice(size_t from, size_t count) const {
    CHECK(from <= view_.size() && count <= view_.size() - from);
    return Slice(buffer_, view_.subspan(from, count));
  }

 private:
  Bytes view_;
  Buffer buffer_;
};

}  // namespace paceline
