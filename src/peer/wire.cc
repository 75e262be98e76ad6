#include "peer/wire.h"

#include <algorithm>
#include <utility>

#include "env/block_pool.h"

namespace paceline::peer {
namespace {

constexpr size_t kReadBytes = 16u << 10;
constexpr size_t kRoomyBytes = 1u << 20;  // of a body
// Pings, answers and questions that were not taken: at ten a second, nobody has read for minutes.
constexpr size_t kSmallQueuedMax = 1024;

}  // namespace

Wire::Wire(env::Shard& shard, std::unique_ptr<env::Socket> socket, uint32_t call_bytes_max,
           uint64_t queue_bytes_max)
    : shard_(shard),
      socket_(std::move(socket)),
      call_bytes_max_(call_bytes_max),
      queue_bytes_max_(queue_bytes_max),
      queued_(shard),
      buffer_(kReadBytes) {}

void Wire::start(env::Gate::Pass pass) {
  shard_.spawn(write_loop(shared_from_this(), std::move(pass)));
}

Task<Result<Frame>> Wire::read() {
  std::byte head[kFrameHeaderBytes];
  CO_TRY_VOID(co_await fill(head));
  Frame frame;
  CO_TRY(frame.header, decode_frame_header(head, call_bytes_max_));
  if (frame.header.body_bytes > 0) {
    const size_t bytes = frame.header.body_bytes;
    Buffer body = bytes >= kRoomyBytes ? env::allocate_roomy(bytes) : Buffer::allocate(bytes);
    CO_TRY_VOID(co_await fill(body.writable().first(bytes)));
    frame.body = Slice(body, body.bytes().first(bytes));
  }
  CO_TRY_VOID(check_body(frame.header, frame.body.bytes()));
  co_return frame;
}

// Small frames are read many at a time, the rest of a body straight to where it belongs.
Task<Result<void>> Wire::fill(MutableBytes into) {
  while (!into.empty()) {
    if (begin_ < end_) {
      const size_t count = std::min(into.size(), end_ - begin_);
      std::copy_n(buffer_.data() + begin_, count, into.data());
      begin_ += count;
      into = into.subspan(count);
      continue;
    }
    const bool direct = into.size() >= buffer_.size();
    CO_TRY(const size_t count, co_await socket_->read_some(direct ? into : MutableBytes(buffer_)));
    if (on_bytes_) on_bytes_();
    if (direct) {
      into = into.subspan(count);
    } else {
      begin_ = 0;
      end_ = count;
    }
  }
  co_return Result<void>{};
}

void Wire::send(std::string frame) {
  if (!open_ || finishing_) return;
  if (small_.size() >= kSmallQueuedMax) return close();
  small_.push_back({{Slice::copy_of(as_bytes(frame))}, nullptr});
  queued_.notify_all();
}

void Wire::send_body(FrameKind kind, uint64_t number, Slice body, std::shared_ptr<bool> begun) {
  if (!open_ || finishing_) return;
  if (queued_bytes_ > queue_bytes_max_) return close();
  queued_bytes_ += body.size();
  const std::string header = encode_header(kind, number, body.bytes());
  bodies_.push_back({{Slice::copy_of(as_bytes(header)), std::move(body)}, std::move(begun)});
  queued_.notify_all();
}

void Wire::finish() {
  finishing_ = true;
  queued_.notify_all();
}

void Wire::close() {
  if (!open_) return;
  open_ = false;
  socket_->close();
  queued_.notify_all();
}

Task<void> Wire::write_loop(std::shared_ptr<Wire> self, env::Gate::Pass) {
  while (self->open_) {
    const bool small = !self->small_.empty();
    auto& queue = small ? self->small_ : self->bodies_;
    if (queue.empty()) {
      if (self->finishing_) break;
      co_await self->queued_.wait();
      continue;
    }
    const Queued next = std::move(queue.front());
    queue.pop_front();
    if (!small) self->queued_bytes_ -= next.pieces.back().size();
    if (next.begun) *next.begun = true;
    auto written = co_await self->socket_->write(next.pieces);
    if (!written) break;
  }
  self->close();
}

}  // namespace paceline::peer
