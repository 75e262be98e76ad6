#include "base/endian.h"
#include "broker/forward.h"
#include "protocol/gen/api.h"

// Requests for groups whose coordinator has moved away from here. One that is refused makes its
// client look for the coordinator; but an application is told of a commit that nobody waits for,
// and a member that leaves says so once.

namespace paceline::broker {
namespace {

constexpr env::Duration kAnswerWithin = std::chrono::seconds(5);
constexpr int kAsksMax = 3;  // while it moves on and on
constexpr size_t kCorrelationAt = 4;

Reply reply_as_ours(const Request& request, const Slice& frame) {
  Slice own = Slice::copy_of(frame.bytes());
  store_be<int32_t>(own.buffer().writable().data() + kCorrelationAt, request.correlation_id);
  Reply reply;
  reply.what = Reply::What::frame;
  reply.frame.push_back(std::move(own));
  return reply;
}

// Until it may be asked here: it has come back.
Task<void> wait_open(Node& node, env::Shard& home, StreamId id) {
  ShardHost& host = node.home_of(id.owner, static_cast<int32_t>(id.index));
  auto wait = [](ShardHost* where, StreamId stream) -> Task<void> {
    const env::Instant patience = where->shard->now() + kBetweenLeaders;
    while (!where->find(stream))
      if (!co_await where->opened.wait_until(patience)) break;
  };
  co_await env::call_on(*host.shard, home, [wait, &host, id] { return wait(&host, id); });
}

}  // namespace

bool follows_coordinator(int16_t api_key) {
  using protocol::ApiKey;
  const auto api = static_cast<ApiKey>(api_key);
  return api == ApiKey::offset_commit || api == ApiKey::offset_fetch || api == ApiKey::heartbeat ||
         api == ApiKey::leave_group;
}

Task<Reply> answer_where_coordinated(Handler handler, Request& request) {
  Node& node = request.node;
  env::Shard& shard = request.shard;
  Reply refusal = co_await handler(request);
  if (!request.moved || request.groups != 1 || !node.calls() ||
      !follows_coordinator(request.api_key))
    co_return refusal;
  Request::MovedCoordinator to = *request.moved;
  const env::Instant deadline = shard.now() + kAnswerWithin;
  for (int asked = 0; asked < kAsksMax; ++asked) {
    node.note_forward(shard.now());
    node.host_of(shard).metrics.forwarded_group_requests.fetch_add(1, std::memory_order_relaxed);
    ForwardedGroup ask{to.stream, to.epoch, request.api_key, request.version, request.body};
    Slice body = encode(PeerRequest(std::move(ask)));
    auto answer = co_await node.calls()->call(shard, to.lane.broker, std::move(body), deadline);
    Result<BytesAnswer> told = fail(Code::unavailable, "");
    if (answer) told = decode_bytes_answer(*answer);
    if (!told) co_return refusal;
    if (const auto* frame = std::get_if<Slice>(&*told)) {
      if (frame->size() < kCorrelationAt + sizeof(int32_t)) co_return refusal;
      co_return reply_as_ours(request, *frame);
    }
    const Elsewhere elsewhere = std::get<Elsewhere>(*told);
    const bool known = elsewhere.lane.broker.value >= 0 && elsewhere.epoch > to.epoch;
    if (!known) co_return refusal;
    co_await tell_relay(node, shard, to.stream, elsewhere);
    to.lane = elsewhere.lane;
    to.epoch = elsewhere.epoch;
    if (to.lane != node.cluster().lane()) continue;
    co_await wait_open(node, shard, to.stream);
    request.groups = 0;
    request.moved.reset();
    refusal = co_await handler(request);
    if (!request.moved) break;
    to = *request.moved;
  }
  co_return refusal;
}

}  // namespace paceline::broker
