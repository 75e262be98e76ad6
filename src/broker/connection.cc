#include "broker/connection.h"

#include "base/log.h"
#include "broker/api.h"
#include "protocol/gen/api.h"

namespace paceline::broker {
namespace {

constexpr size_t kLengthBytes = 4;
// A frame up to this size is charged once it is there, a bigger one before it is read.
constexpr size_t kPermitBytesMin = 128u << 10;
// A frame that is charged before it has arrived must go on at this rate, a mebibyte a second.
constexpr size_t kFrameBytesPerMs = 1u << 10;

constexpr int16_t kProduceKey = static_cast<int16_t>(protocol::ApiKey::produce);
// After this long without a byte a connection keeps no block.
constexpr env::Duration kReceiveIdle = std::chrono::seconds(5);

constexpr int16_t kApiVersionsKey = static_cast<int16_t>(protocol::ApiKey::api_versions);

// "GET " or a TLS hello where a length should be: somebody speaks another protocol.
std::string hint(int32_t size) {
  const auto first = static_cast<uint32_t>(size);
  if (first == 0x47455420 || first == 0x504f5354 || first == 0x48454144)
    return "; this looks like HTTP, but the port speaks Kafka's protocol";
  if ((first >> 16) == 0x1603) return "; this looks like TLS, but the listener is plaintext";
  return "";
}

}  // namespace

Connection::Connection(Node& node, env::Shard& shard, std::unique_ptr<env::Socket> socket,
                       std::string listener)
    : node_(node),
      shard_(shard),
      socket_(std::move(socket)),
      metrics_(node.host_of(shard).metrics),
      receive_(*node.host_of(shard).receive_blocks),
      last_progress_(shard.now()),
      changed_(shard),
      inside_(shard) {
  peer_.listener = std::move(listener);
  peer_.address = socket_->peer();
}

Task<void> Connection::serve() {
  shard_.spawn(watch_idle(inside_.enter()));
  while (!ended_) {
    Result<Slice> frame = co_await read_frame();
    if (!frame) {
      end(frame.error().code == Code::closed ? "" : frame.error().message);
      break;
    }
    if (!co_await admit(*frame)) break;
  }
  co_await inside_.wait_empty();
}

// The next whole frame, without its length. Waits for the memory budget before it reads a body of
// more than a few requests.
Task<Result<Slice>> Connection::read_frame() {
  const size_t bytes_max = node_.settings().request_bytes_max;
  const auto patience = std::chrono::milliseconds(node_.settings().frame_read_max_ms);
  frame_deadline_.reset();
  for (;;) {
    const Bytes have = receive_.unread();
    size_t want = kLengthBytes;
    if (have.size() >= kLengthBytes) {
      const auto size = load_be<int32_t>(have.data());
      if (size < 8 || static_cast<uint32_t>(size) > bytes_max) {
        metrics_.bad_frames.fetch_add(1, std::memory_order_relaxed);
        co_return fail(Code::invalid_argument,
                       fmt::format("a frame of {} bytes (8 to {} are allowed){}", size, bytes_max,
                                   hint(size)));
      }
      want += static_cast<size_t>(size);
      if (have.size() >= want) {
        Slice frame = receive_.take(want);
        co_return frame.subslice(kLengthBytes, want - kLengthBytes);
      }
      if (want > kPermitBytesMin && frame_permit_.bytes() == 0) {
        frame_permit_ = co_await node_.charge_frame(shard_, want);
        // From here on the peer costs others their room, not before.
        frame_deadline_ =
            shard_.now() + patience + std::chrono::milliseconds(want / kFrameBytesPerMs);
      }
    }
    if (!have.empty() && !frame_deadline_) frame_deadline_ = shard_.now() + patience;
    auto read = co_await socket_->read_some(receive_.room(want));
    if (!read) co_return fail(read.error());
    last_progress_ = shard_.now();
    receive_.received(*read);
  }
}

// Runs one request, or starts it if it is a produce. False: the connection ends.
Task<bool> Connection::admit(const Slice& frame) {
  protocol::Cursor cursor(frame);
  auto header = protocol::decode_request_header(cursor);
  if (!header) {
    metrics_.bad_frames.fetch_add(1, std::memory_order_relaxed);
    end("an unreadable request header: " + header.error().message);
    co_return false;
  }
  Request request{node_,
                  shard_,
                  peer_,
                  header->api_key,
                  header->api_version,
                  header->correlation_id,
                  std::string(header->client_id.value_or("")),
                  frame.subslice(frame.size() - cursor.remaining(), cursor.remaining())};
  Handler handler = find_handler(request.api_key);
  const protocol::Api* api = protocol::find_api(request.api_key);
  const bool version_known =
      api && request.version >= api->version_min && request.version <= api->version_max;
  if (!handler || (!version_known && request.api_key != kApiVersionsKey)) {
    end(fmt::format("API {} version {} is not served", request.api_key, request.version));
    co_return false;
  }

  frame_deadline_.reset();
  Node::FramePermit permit = std::move(frame_permit_);
  if (permit.bytes() == 0) permit = co_await node_.charge_frame(shard_, frame.size());
  co_await wait_for_room();
  if (request.api_key != kProduceKey) {
    while (!ended_ && !answers_.empty()) co_await changed_.wait();
  } else {
    co_await wait_for_uploads();
  }
  if (ended_) co_return false;

  auto answer = std::make_shared<Answer>();
  answers_.push_back(answer);
  if (request.api_key == kProduceKey) {
    produce_bytes_ += frame.size();
    shard_.spawn(
        run_produce(answer, std::move(request), frame, std::move(permit), inside_.enter()));
    co_return true;
  }
  const env::Instant since = shard_.now();
  Reply reply = co_await handler(request);
  record(request, reply, since);
  settle(answer, std::move(reply));
  co_return !ended_;
}

// Less in flight than a connection may have; then one more may exceed it.
Task<void> Connection::wait_for_room() {
  const Settings& limits = node_.settings();
  while (!ended_ && (unsent_bytes_ > limits.response_bytes_max ||
                     answers_.size() >= limits.produce_pipeline_max ||
                     produce_bytes_ > limits.produce_pipeline_bytes_max))
    co_await changed_.wait();
}

// The object store is slower than the producers: they are held, not refused, because a refusal
// costs them a back-off. Bounded, so that a store that is gone is told as what it is.
Task<void> Connection::wait_for_uploads() {
  const env::Instant deadline = shard_.now() + std::chrono::seconds(20);
  while (!ended_ && shard_.now() < deadline &&
         node_.storage().stats().unuploaded_bytes > node_.settings().unuploaded_bytes_high)
    co_await env::sleep_for(shard_, std::chrono::milliseconds(2));
}

Task<void> Connection::run_produce(std::shared_ptr<Answer> answer, Request request, Slice frame,
                                   Node::FramePermit permit, env::Gate::Pass pass) {
  const env::Instant since = shard_.now();
  Reply reply = co_await handle_produce(request);
  record(request, reply, since);
  permit.release();
  produce_bytes_ -= frame.size();
  settle(answer, std::move(reply));
  (void)frame;  // kept alive: the request's views point into it
  (void)pass;
}

void Connection::settle(const std::shared_ptr<Answer>& answer, Reply reply) {
  if (ended_) return;
  if (reply.what == Reply::What::close) {
    end(std::move(reply.reason));
    return;
  }
#ifdef PACELINE_PLANT_answers_out_of_order
  std::erase(answers_, answer);
  answers_.push_front(answer);
#endif
  answer->ready = true;
  answer->frame = std::move(reply.frame);
  for (const Slice& slice : answer->frame) answer->bytes += slice.size();
  unsent_bytes_ += answer->bytes;
  if (!writing_ && answers_.front()->ready) {
    writing_ = true;
    auto write = [](Connection* self, env::Gate::Pass) -> Task<void> {
      co_await self->write_answers();
    };
    shard_.spawn(write(this, inside_.enter()));
  }
}

// Writes what is ready at the front, as much as there is in one call, until there is nothing.
Task<void> Connection::write_answers() {
  while (!ended_ && !answers_.empty() && answers_.front()->ready) {
    std::vector<Slice> pieces;
    size_t bytes = 0;
    while (!answers_.empty() && answers_.front()->ready) {
      for (Slice& slice : answers_.front()->frame) pieces.push_back(std::move(slice));
      bytes += answers_.front()->bytes;
      answers_.pop_front();
    }
    if (!pieces.empty()) {
      Result<void> written = co_await socket_->write(pieces);
      if (!written) {
        end(written.error().code == Code::closed ? "" : written.error().message);
        break;
      }
    }
    unsent_bytes_ -= bytes;
    last_progress_ = shard_.now();
    changed_.notify_all();
  }
  writing_ = false;
}

void Connection::record(const Request& request, const Reply& reply, env::Instant since) {
  if (request.api_key < 0 || static_cast<size_t>(request.api_key) >= Metrics::kApisMax) return;
  Metrics::Api& api = metrics_.apis[static_cast<size_t>(request.api_key)];
  api.requests.fetch_add(1, std::memory_order_relaxed);
  if (reply.failed) api.errors.fetch_add(1, std::memory_order_relaxed);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(shard_.now() - since);
  api.latency.add(static_cast<uint64_t>(took.count()));
}

void Connection::end(std::string reason) {
  if (ended_) return;
  ended_ = true;
  if (!reason.empty())
    log_info("connection of {} ({}) ends: {}", peer_.address, peer_.principal, reason);
  socket_->close();
  changed_.notify_all();
}

// Ends the connection when it idles too long, or dribbles a frame.
Task<void> Connection::watch_idle(env::Gate::Pass pass) {
  const auto idle_max = std::chrono::milliseconds(node_.settings().connection_idle_max_ms);
  const auto frame_max = std::chrono::milliseconds(node_.settings().frame_read_max_ms);
  while (!ended_) {
    // A request that is being answered is not idle: the broker owes it.
    if (!answers_.empty()) last_progress_ = shard_.now();
    const env::Instant deadline = frame_deadline_.value_or(last_progress_ + idle_max);
    const env::Instant now = shard_.now();
    if (now - last_progress_ >= kReceiveIdle) receive_.release_idle();
    if (now >= deadline) {
      end(frame_deadline_ ? "a frame did not arrive in time" : "");
      break;
    }
    // Looked at again soon enough for the shorter bound, and to give memory back.
    const env::Duration often = receive_.holds_block() ? kReceiveIdle : frame_max;
    const env::Instant again = std::min(deadline, now + std::min<env::Duration>(often, frame_max));
    while (!ended_ && co_await changed_.wait_until(again) && shard_.now() < again) {
    }
  }
  (void)pass;
}

}  // namespace paceline::broker
