#include <set>

#include "base/log.h"
#include "broker/api.h"
#include "broker/forward.h"
#include "broker/leader_hints.h"
#include "broker/lookup.h"
#include "protocol/gen/produce.h"

namespace paceline::broker {
namespace {

struct Append {
  std::string_view topic;
  Uuid topic_id;
  int32_t index = 0;
  Slice records;
  bool led_here = true;  // as the image says, which may lag behind
  bool unknown = false;  // what became of it: it was sent on, and no answer came
  KafkaError error = KafkaError::none;
  std::string message;
  partition::Appended appended;
  std::vector<partition::RecordError> record_errors;
};

// What of one request belongs to one shard: all of it is sequenced before the first of it is
// awaited, so that it shares a commit.
//
// Requests of a connection are under way side by side, and the order of a partition's batches is
// the order in which their appends begin. So every append makes the same way, whatever else its
// request holds: one spawn at home, one crossing, one spawn over there. Each of these queues is
// first in, first out; a shorter way for a small request would overtake a big one before it.
struct ShardAppends {
  Node* node;
  ShardHost* host;
  std::vector<Append*> appends;
  int16_t version;
  env::Duration patience;

  static Task<void> one(const ShardAppends* work, Append* append, env::Gate::Pass pass) {
    const StreamId id{append->topic_id, static_cast<uint32_t>(append->index)};
    AppendOutcome outcome = co_await append_where_led(
        *work->node, *work->host, id, append->topic, append->records, work->version,
        work->host->shard->now() + work->patience, append->led_here);
    append->unknown = outcome.unknown;
    auto& done = outcome.result;
    if (done) {
      append->appended = *done;
    } else {
      append->error = done.error().code;
      append->message = std::move(done.error().message);
      append->record_errors = std::move(done.error().records);
    }
    (void)pass;
  }

  static Task<void> run(ShardAppends work) {
    env::Gate running(*work.host->shard);
    for (Append* append : work.appends)
      work.host->shard->spawn(one(&work, append, running.enter()));
    co_await running.wait_empty();
  }

  static Task<void> cross(ShardAppends work, env::Shard* home, env::Gate::Pass) {
    env::Shard& target = *work.host->shard;
    co_await env::call_on(target, *home, [&work] { return run(std::move(work)); });
  }
};

Task<void> append_all(Request& request, std::vector<Append>& appends, env::Duration patience) {
  Node& node = request.node;
  std::vector<ShardAppends> groups(node.shard_count());
  for (size_t shard = 0; shard < groups.size(); ++shard)
    groups[shard] = {&node, &node.host(shard), {}, request.version, patience};
  for (Append& append : appends) {
    if (append.error != KafkaError::none) continue;
    groups[node.home_of(append.topic_id, append.index).shard->index()].appends.push_back(&append);
  }
  env::Gate running(request.shard);
  for (ShardAppends& group : groups) {
    if (!group.appends.empty())
      request.shard.spawn(ShardAppends::cross(std::move(group), &request.shard, running.enter()));
  }
  co_await running.wait_empty();
}

// Of what is sent on to another broker.
constexpr int32_t kForwardMsMin = 1'000;
constexpr int32_t kForwardMsMax = 30'000;

void count(Request& request, const std::vector<Append>& appends) {
  Metrics& metrics = request.node.host_of(request.shard).metrics;
  for (const Append& append : appends) {
    if (append.error != KafkaError::none) {
      metrics.produce_failed.fetch_add(1, std::memory_order_relaxed);
    } else {
      metrics.bytes_in.fetch_add(append.records.size(), std::memory_order_relaxed);
    }
  }
}

}  // namespace

Task<Reply> handle_produce(Request& request) {
  PACELINE_DECODE(ProduceRequest, message);
  const auto image = request.node.image();
  const bool acks_valid = message.acks == 0 || message.acks == 1 || message.acks == -1;
  std::vector<Append> appends;
  std::set<std::pair<std::string_view, int32_t>> seen;
  for (const auto& topic : message.topic_data) {
    const cluster::TopicImage* found = image->topic(topic.name);
    for (const auto& partition : topic.partition_data) {
      Append append;
      append.topic = topic.name;
      append.index = partition.index;
      append.error = why_not_here(request.node, found, partition.index);
      if (found) append.topic_id = found->id;
      // Where it lives decides: it may be sent on from there, or be here already.
      append.led_here = append.error != KafkaError::not_leader_or_follower;
      if (!append.led_here) append.error = KafkaError::none;
      if (message.transactional_id) {
        append.error = KafkaError::transactional_id_authorization_failed;
        append.message = "transactions are not served yet";
      }
      if (!acks_valid) append.error = KafkaError::invalid_required_acks;
      if (found && found->internal && request.client_id != "__admin_client")
        append.error = KafkaError::invalid_topic_exception;
      if (partition.records) {
        // The view points into the frame, whose block the slice keeps.
        append.records = Slice(request.body.buffer(), *partition.records);
      }
      if (!seen.emplace(append.topic, append.index).second) {
        append.error = KafkaError::invalid_request;
        append.message = "the same partition twice in one request";
      }
      if (!found)
        request.node.refuse_stranger(request.shard, append.topic, append.index,
                                     append.records.bytes());
      appends.push_back(std::move(append));
    }
  }
  const auto patience =
      std::chrono::milliseconds(std::clamp(message.timeout_ms, kForwardMsMin, kForwardMsMax));
  co_await append_all(request, appends, patience);
  count(request, appends);
  for (const Append& append : appends) request.complain(append.error, append.message);

  const bool failed = std::any_of(appends.begin(), appends.end(),
                                  [](const Append& a) { return a.error != KafkaError::none; });
  if (std::ranges::any_of(appends, &Append::unknown))
    co_return Reply::close("the leader that it was sent on to did not answer");
  if (message.acks == 0) {
    if (failed)
      co_return Reply::close("a produce with acks=0 failed, and the client must learn of it");
    co_return Reply::nothing();
  }
  protocol::ProduceResponse response;
  const LeaderHints now(request);
  size_t at = 0;
  for (const auto& topic : message.topic_data) {
    auto& answer = response.responses.emplace_back();
    answer.name = std::string(topic.name);
    for ([[maybe_unused]] const auto& partition : topic.partition_data) {
      Append& append = appends[at++];
      auto& one = answer.partition_responses.emplace_back();
      one.index = append.index;
      one.error_code = wire(append.error);
      const bool good = append.error == KafkaError::none;
      one.base_offset = good ? append.appended.base.value : -1;
      one.log_append_time_ms = good ? append.appended.log_append_time_ms : -1;
      one.log_start_offset = good ? append.appended.log_start.value : -1;
      if (append.error == KafkaError::not_leader_or_follower && request.version >= 10)
        now.add(append.topic_id, append.index, one, response);
      if (!append.message.empty()) one.error_message = std::move(append.message);
      for (auto& error : append.record_errors)
        one.record_errors.push_back({error.batch_index, std::move(error.message)});
    }
  }
  Reply reply = reply_with(request, response);
  reply.failed = failed;
  co_return reply;
}

}  // namespace paceline::broker
