#include "broker/receive_buffer.h"

#include <algorithm>
#include <utility>

namespace paceline::broker {
namespace {

constexpr size_t kPorchBytes = 16u << 10;
// Of the heap: room for many small requests.
constexpr size_t kHeapBytes = 64u << 10;

}  // namespace

MutableBytes ReceiveBuffer::room(size_t want) {
  if (from_ == to_ && drained_) {
    if (!porch_) porch_ = Buffer::allocate(kPorchBytes);
    on_porch_ = true;
    asked_ = kPorchBytes;
    return porch_.writable();
  }
  on_porch_ = false;
  make_room(want);
  size_t end = block_.size();
  // A big frame that would not fit behind this one is not begun here: it would have to be moved.
  const size_t frame_end = from_ + want;
  if (want > kHeapBytes && frame_end <= end && end - frame_end < want) end = frame_end;
  asked_ = end - to_;
  return block_.writable().subspan(to_, asked_);
}

void ReceiveBuffer::received(size_t count) {
  CHECK(count <= asked_);
  drained_ = count < asked_;
  if (std::exchange(on_porch_, false)) {
    make_room(count);
    std::memcpy(block_.data() + to_, porch_.data(), count);
  }
  to_ += count;
}

Slice ReceiveBuffer::take(size_t count) {
  CHECK(count <= to_ - from_);
  Slice taken(block_, block_.bytes().subspan(from_, count));
  from_ += count;
  frame_bytes_ = count;
  return taken;
}

void ReceiveBuffer::release_idle() {
  // While bytes are unread, or a read is under way in it, the block is needed.
  if (from_ != to_ || !on_porch_) return;
  block_ = Buffer();
  from_ = to_ = 0;
}

// Afterwards block_ holds what is unread and has room for `want` bytes of it, or for as many of
// them as may be believed so far; some room in any case.
void ReceiveBuffer::make_room(size_t want) {
  if (from_ == to_ && block_.unique()) from_ = to_ = 0;
  const bool begins = from_ == to_;
  const size_t left = block_.size() - from_;
  const bool fits = left >= want && to_ < block_.size();
  // As big as the last one, the frame that begins here would have to be moved.
  const bool would_move = begins && from_ > 0 && frame_bytes_ > kHeapBytes && left < frame_bytes_;
  if (fits && !would_move) return;
  Buffer memory = find_memory(want);
  const size_t have = to_ - from_;
  if (have > 0) std::memmove(memory.data(), block_.data() + from_, have);
  block_ = std::move(memory);
  from_ = 0;
  to_ = have;
}

Buffer ReceiveBuffer::find_memory(size_t want) {
  const size_t have = to_ - from_;
  // Grows with what has arrived: a length alone makes nobody allocate.
  const size_t room = std::max(kHeapBytes, std::min(want, 4 * have));
  const bool streams = !drained_ || room > kHeapBytes;
  if (streams && want <= blocks_.block_bytes() && have < blocks_.block_bytes())
    if (Buffer block = blocks_.try_take()) return block;
  if (block_.unique() && block_.size() >= room) return block_;
  return Buffer::allocate(room);
}

}  // namespace paceline::broker
