#include "broker/connection.h"

#include "base/log.h"
#include "broker/api.h"
#include "broker/forward.h"
#include "protocol/gen/api.h"

namespace paceline::broker {
namespace {

constexpr size_t kLengthBytes = 4;
// A frame up to this size is charged once it is there, a bigger one before it is read.
constexpr size_t kPermitBytesMin = 64u << 10;
// A frame that is charged before it has arrived must go on at this rate, a mebibyte a second.
constexpr size_t kFrameBytesPerMs = 1u << 10;

// What a request that is not a produce may become in memory, a byte of it: its elements are small
// on the wire. A produce is nearly all records, which stay where they are; what else it takes until
// it is answered was measured: 10 KiB with 2,048 small ones waiting on each of 24 connections.
constexpr size_t kDecodedFactor = 16;
constexpr size_t kProduceBytes = 10u << 10;
constexpr size_t kKeyBytes = 2;

constexpr int16_t kProduceKey = static_cast<int16_t>(protocol::ApiKey::produce);
// After this long without a byte a connection keeps no block.
constexpr env::Duration kReceiveIdle = std::chrono::seconds(5);

constexpr int16_t kApiVersionsKey = static_cast<int16_t>(protocol::ApiKey::api_versions);

// "Produce v9", for the log.
std::string name_of(int16_t api_key, int16_t version) {
  const protocol::Api* api = protocol::find_api(api_key);
  return api ? fmt::format("{} v{}", api->name, version)
             : fmt::format("API {} v{}", api_key, version);
}

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
      came_at_parting_(node.parting()),
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
    if (!node_.parting() || came_at_parting_) continue;
    while (!ended_ && (!answers_.empty() || unsent_bytes_ > 0)) co_await changed_.wait();
    end("");
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
        count_bad(BadFrame::size);
        co_return fail(Code::invalid_argument,
                       fmt::format("a frame of {} bytes (8 to {} are allowed){}", size, bytes_max,
                                   hint(size)));
      }
      want += static_cast<size_t>(size);
      if (have.size() >= want) {
        Slice frame = receive_.take(want);
        co_return frame.subslice(kLengthBytes, want - kLengthBytes);
      }
      const bool key_known = have.size() >= kLengthBytes + kKeyBytes;
      if (want > kPermitBytesMin && key_known && frame_permit_.bytes() == 0) {
        const auto key = load_be<int16_t>(have.data() + kLengthBytes);
        frame_permit_ = co_await charge(key, want);
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
    count_bad(BadFrame::header);
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
    count_bad(BadFrame::api);
    end(name_of(request.api_key, request.version) + " is not served");
    co_return false;
  }

  frame_deadline_.reset();
  Node::FramePermit permit = std::move(frame_permit_);
  if (permit.bytes() == 0) permit = co_await charge(request.api_key, frame.size());
  co_await wait_for_room();
  if (request.api_key != kProduceKey) {
    while (!ended_ && !answers_.empty()) co_await changed_.wait();
  } else {
    co_await wait_for_uploads(modest(memory_for(kProduceKey, frame.size())));
  }
  if (ended_) co_return false;

  auto answer = std::make_shared<Answer>();
  answers_.push_back(answer);
  if (request.api_key == kProduceKey) {
    produce_bytes_ += frame.size();
    node_.produce_bytes().fetch_add(frame.size(), std::memory_order_relaxed);
    shard_.spawn(
        run_produce(answer, std::move(request), frame, std::move(permit), inside_.enter()));
    co_return true;
  }
  const env::Instant since = shard_.now();
  Reply reply = co_await answer_where_coordinated(handler, request);
  record(request, reply, since);
  settle(answer, request, std::move(reply));
  co_return !ended_;
}

// Never so much that it would have to wait for all others.
uint64_t Connection::memory_for(int16_t api_key, size_t frame_bytes) const {
  if (api_key == kProduceKey) return frame_bytes + kProduceBytes;
  return std::clamp<uint64_t>(kDecodedFactor * frame_bytes, frame_bytes,
                              std::max<uint64_t>(frame_bytes, node_.memory().bytes_max() / 4));
}

Task<Node::FramePermit> Connection::charge(int16_t api_key, size_t frame_bytes) {
  const uint64_t bytes = memory_for(api_key, frame_bytes);
  return node_.charge_frame(shard_, bytes, modest(bytes));
}

// Of all but produce requests there is one at a time.
bool Connection::modest(uint64_t bytes) const {
  return produce_bytes_ + answers_.size() * kProduceBytes + bytes <= Node::kModestBytes;
}

// Less in flight than a connection may have; then one more may exceed it.
Task<void> Connection::wait_for_room() {
  const Settings& limits = node_.settings();
  while (!ended_ && (unsent_bytes_ > limits.response_bytes_max ||
                     (unsent_bytes_ > 0 && node_.answers().excess() > 0) ||
                     answers_.size() >= limits.produce_pipeline_max ||
                     produce_bytes_ > limits.produce_pipeline_bytes_max))
    co_await changed_.wait();
}

// The object store is slower than the producers: they are held, not refused, because a refusal
// costs them a back-off. Bounded, so that a store that is gone is told as what it is.
Task<void> Connection::wait_for_uploads(bool modest) {
  const env::Instant deadline = shard_.now() + std::chrono::seconds(20);
  while (!ended_ && shard_.now() < deadline && uploads_behind(modest))
    co_await env::sleep_for(shard_, std::chrono::milliseconds(2));
}

// What is on its way counts, or all who wait would go at once. Alone a request of any size goes.
// The big ones fill up what becomes free, so that for the small there is a little beyond.
bool Connection::uploads_behind(bool modest) const {
  const uint64_t unuploaded = node_.storage().stats().unuploaded_bytes;
  const uint64_t on_its_way = node_.produce_bytes().load(std::memory_order_relaxed);
  uint64_t high = node_.settings().unuploaded_bytes_high;
  if (modest) high += high / 8;
  return unuploaded > high || (on_its_way > 0 && unuploaded + on_its_way > high);
}

Task<void> Connection::run_produce(std::shared_ptr<Answer> answer, Request request, Slice frame,
                                   Node::FramePermit permit, env::Gate::Pass pass) {
  const env::Instant since = shard_.now();
  Reply reply = co_await handle_produce(request);
  record(request, reply, since);
  permit.release();
  produce_bytes_ -= frame.size();
  node_.produce_bytes().fetch_sub(frame.size(), std::memory_order_relaxed);
  settle(answer, request, std::move(reply));
  (void)frame;  // kept alive: the request's views point into it
  (void)pass;
}

void Connection::settle(const std::shared_ptr<Answer>& answer, const Request& request,
                        Reply reply) {
  if (ended_) return;
  if (reply.what == Reply::What::close) {
    if (reply.unreadable) count_bad(BadFrame::body);
    end(name_of(request.api_key, request.version) + ": " + reply.reason);
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
  AnswerMemory& memory = node_.answers();
  if (memory.crowded()) let_blocks_go(answer->frame);
  answer->held = memory.hold(memory_of(answer->frame));
  if (memory.excess() > 0) shed_slow_readers();
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
    std::vector<AnswerMemory::Hold> held;
    size_t bytes = 0;
    writing_memory_ = 0;
    while (!answers_.empty() && answers_.front()->ready) {
      for (Slice& slice : answers_.front()->frame) pieces.push_back(std::move(slice));
      bytes += answers_.front()->bytes;
      writing_memory_ += answers_.front()->held.bytes();
      held.push_back(std::move(answers_.front()->held));
      answers_.pop_front();
    }
    if (!pieces.empty()) {
      std::list<Connection*>& unread = node_.host_of(shard_).unread;
      write_began_ = shard_.now();
      const auto here = unread.insert(unread.end(), this);
      Result<void> written = co_await socket_->write(pieces);
      unread.erase(here);
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

void Connection::shed_slow_readers() {
  const env::Duration patience = std::chrono::milliseconds(node_.settings().answer_patience_ms);
  for (size_t index = 0; index < node_.shard_count(); ++index) {
    ShardHost& host = node_.host(index);
    host.shard->post(
        [&host, memory = &node_.answers(), patience] { shed_on(host, *memory, patience); });
  }
}

// Those who have waited longest come first. Their memory goes a turn later.
void Connection::shed_on(ShardHost& host, AnswerMemory& memory, env::Duration patience) {
  const env::Instant now = host.shard->now();
  uint64_t excess = memory.excess();
  for (Connection* one : host.unread) {
    if (excess == 0 || now - one->write_began_ < patience) return;
    if (one->ended_) continue;
    excess -= std::min<uint64_t>(excess, one->writing_memory_);
    host.metrics.answers_given_up.fetch_add(1, std::memory_order_relaxed);
    one->end("it does not read its answers, and others need the memory");
  }
}

void Connection::record(const Request& request, const Reply& reply, env::Instant since) {
  const std::string_view why = request.refused_why;
  if (request.refused != KafkaError::none)
    complain(fmt::format("is refused {}: {}{}{}", name_of(request.api_key, request.version),
                         record::kafka_error_name(request.refused), why.empty() ? "" : ": ", why));
  if (request.api_key < 0 || static_cast<size_t>(request.api_key) >= Metrics::kApisMax) return;
  Metrics::Api& api = metrics_.apis[static_cast<size_t>(request.api_key)];
  api.requests.fetch_add(1, std::memory_order_relaxed);
  if (reply.failed || request.refused != KafkaError::none)
    api.errors.fetch_add(1, std::memory_order_relaxed);
  if (request.left_over > 0) {
    metrics_.frames_left_over.fetch_add(1, std::memory_order_relaxed);
    bool& told = node_.host_of(shard_).left_over_told[static_cast<size_t>(request.api_key)];
    if (!std::exchange(told, true))
      complain(fmt::format("sends {} bytes behind a {}; such bytes are ignored, as Kafka does",
                           request.left_over, name_of(request.api_key, request.version)));
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(shard_.now() - since);
  api.latency.add(static_cast<uint64_t>(took.count()));
}

void Connection::count_bad(BadFrame why) {
  metrics_.bad_frames[static_cast<size_t>(why)].fetch_add(1, std::memory_order_relaxed);
}

void Connection::complain(std::string_view what) {
  node_.host_of(shard_).complaints.say(
      shard_.now(), fmt::format("connection of {} ({}) {}", peer_.address, peer_.principal, what));
}

void Connection::end(std::string reason) {
  if (ended_) return;
  ended_ = true;
  if (!reason.empty()) complain("ends: " + reason);
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
      if (frame_deadline_) count_bad(BadFrame::late);
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
