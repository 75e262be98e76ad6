#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "broker/errors.h"
#include "broker/event_topic.h"
#include "broker/mover_shards.h"

// The target's half: durable here, open, and only then committed.

namespace paceline::broker {
namespace {

constexpr env::Duration kKnownWithin = std::chrono::seconds(1);

Outcome off(KafkaError error, std::string message) {
  return Outcome{error, std::move(message)};
}

}  // namespace

Task<Outcome> Mover::take(Adopt adopt_request) {
  std::vector<Arriving> arriving;
  for (Adopt::One& one : adopt_request.partitions)
    arriving.push_back({std::move(one), nullptr, false, {}});
  if (!co_await wait_known(arriving))
    co_return off(KafkaError::operation_not_attempted,
                  "the metadata of that are not known here yet");
  const env::Instant began = shard_.now();
  const std::string cause = cause_of(arriving.front().what.move);
  const auto image = node_.image();
  for (const Arriving& one : arriving) {
    const StreamId& id = one.what.move.stream;
    // Or a late copy of an older question.
    if (image->topic(id.owner)->partitions[id.index].lane == cluster_.lane())
      co_return off(KafkaError::invalid_request, "this broker leads one of them");
  }
  if (node_.stopping() || draining_ || closed_)
    co_return off(KafkaError::broker_not_available, "this broker is going");
  co_await on_shards(arriving, &Mover::claim_on);
  Outcome outcome;
  for (const Arriving& one : arriving)
    if (!one.claimed) outcome = off(KafkaError::operation_not_attempted, one.failure);
  if (outcome.error == KafkaError::none)
    outcome = co_await adopt(adopt_request.source, arriving, cause);
  if (outcome.error == KafkaError::none) {
    auto arrival =
        std::make_shared<Arrival>(cause, node_.surroundings().event, node_.shard_count(), began);
    drained_ = false;
    co_await on_shards(arriving, &Mover::serve_on, arrival);
    arrival->tell_all();
  } else {
    node_.surroundings().event(event_of("move.refused", cause, arriving.size())
                                   .with("from", adopt_request.source.to_string())
                                   .with("reason", outcome.message));
    co_await on_shards(arriving, &Mover::drop_on);
    for (const Arriving& one : arriving)
      if (one.claimed) storage_.forget_adopted(one.what.move.stream);
  }
  node_.look_again();
  co_return outcome;
}

// What we follow may be a little behind what the source has read.
Task<bool> Mover::wait_known(const std::vector<Arriving>& arriving) {
  const env::Instant until = shard_.now() + kKnownWithin;
  for (;;) {
    const auto image = node_.image();
    const bool known = std::ranges::all_of(arriving, [&](const Arriving& one) {
      const cluster::TopicImage* topic = image->topic(one.what.move.stream.owner);
      const uint32_t index = one.what.move.stream.index;
      return topic && index < topic->partitions.size() &&
             topic->partitions[index].epoch >= one.what.move.epoch;
    });
    if (known) co_return true;
    if (shard_.now() >= until) co_return false;
    co_await env::sleep_for(shard_, std::chrono::milliseconds(1));
  }
}

Task<Outcome> Mover::adopt(Lane source, std::vector<Arriving>& arriving, const std::string& cause) {
  const env::Instant began = shard_.now();
  std::vector<stream::Storage::Adoption> adoptions;
  std::vector<cluster::Moving> moves;
  size_t bytes = 0;
  for (Arriving& one : arriving) {
    bytes += one.what.passport.size();
    adoptions.push_back({one.what.move.stream, std::move(one.what.passport)});
    moves.push_back(one.what.move);
  }
  auto adopted = co_await storage_.adopt(shard_, std::move(adoptions));
  if (!adopted)
    co_return off(adopted.error().code == Code::in_use ? KafkaError::operation_not_attempted
                                                       : KafkaError::kafka_storage_error,
                  adopted.error().message);
  const env::Instant durable = shard_.now();
  node_.surroundings().event(event_of("move.adopted", cause, arriving.size())
                                 .at(durable)
                                 .took(durable - began)
                                 .with("from", source.to_string())
                                 .with("bytes", bytes)
                                 .with("requests", 1));
  co_await on_shards(arriving, &Mover::open_on);
  for (const Arriving& one : arriving)
    if (!one.failure.empty()) co_return off(KafkaError::kafka_storage_error, one.failure);
  const env::Instant open = shard_.now();
  auto commit = [this, source, moves](meta::Transaction&& own) -> Task<Result<Revision>> {
    return cluster_.take_over(shard_, source, moves, std::move(own));
  };
  auto committed = co_await storage_.commit_adoption(shard_, *adopted, commit);
  if (!committed) {
    const bool again = committed.error().code == Code::conflict;
    co_return off(again ? KafkaError::operation_not_attempted : KafkaError::request_timed_out,
                  committed.error().message);
  }
  node_.surroundings().event(
      event_of("move.committed", cause, arriving.size())
          .took(shard_.now() - open)
          .with("from", source.to_string())
          .with("open_us",
                std::chrono::duration_cast<std::chrono::microseconds>(open - durable).count()));
  co_return Outcome{};
}

// Nobody else opens it meanwhile, whatever an image says.
Task<void> Mover::claim_on(Mover*, ShardHost* host, ArrivingOfShard* mine) {
  for (Arriving* one : *mine) {
    const StreamId id = one->what.move.stream;
    const Relay* relay = host->find_relay(id);
    one->claimed =
        !(relay && relay->moving) && !host->hosted.contains(id) && host->arriving.insert(id).second;
    if (!one->claimed) one->failure = fmt::format("{} is here already", id.to_string());
  }
  co_return;
}

Task<void> Mover::open_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine) {
  Node& node = mover->node_;
  const auto image = node.image();
  for (Arriving* one : *mine) {
    const cluster::Moving& move = one->what.move;
    const cluster::TopicImage* topic = image->topic(move.stream.owner);
    if (!topic) {
      one->failure = "its topic is gone";
      continue;
    }
    one->hosted = std::make_unique<Hosted>();
    one->hosted->topic = topic->name;
    one->hosted->topic_id = topic->id;
    one->hosted->index = move.stream.index;
    auto opened = co_await node.open_partition(*host, *one->hosted, *topic, *image, move.epoch + 1,
                                               std::nullopt);
    if (!opened) {
      one->failure = opened.error().message;
      continue;
    }
    one->hosted->partition = std::move(*opened);
    if (one->hosted->partition->high_watermark() != one->what.end)
      one->failure = fmt::format(
          "{}-{} ends at {} here, and at {} where it comes from", topic->name, move.stream.index,
          one->hosted->partition->high_watermark().value, one->what.end.value);
  }
}

Task<void> Mover::serve_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine,
                           std::shared_ptr<Arrival> arrival) {
  for (Arriving* one : *mine) {
    const StreamId id = one->what.move.stream;
    const Epoch epoch = one->what.move.epoch + 1;
    if (one->hosted->coordinator) one->hosted->coordinator->bind(*one->hosted->partition);
    for (const Refusal& refusal :
         host->refusals.of(one->hosted->topic, static_cast<int32_t>(id.index), host->shard->now()))
      one->hosted->partition->refused_before(refusal.producer_id, refusal.producer_epoch,
                                             refusal.base_sequence);
    arrival->note_open(*host->shard, one->hosted->served(*host->shard));
    if (one->hosted->topic != kEventsTopic) one->hosted->arrival = arrival;
    host->hosted[id] = std::move(one->hosted);
    host->metrics.moved_here.fetch_add(1, std::memory_order_relaxed);
    host->arriving.erase(id);
    host->given_up.erase(id);
    // It may have been here before.
    if (Relay* relay = host->find_relay(id)) relay->retarget({mover->cluster_.lane(), epoch});
  }
  co_return;
}

Task<void> Mover::drop_on(Mover*, ShardHost* host, ArrivingOfShard* mine) {
  for (Arriving* one : *mine) {
    if (!one->claimed) continue;
    const StreamId id = one->what.move.stream;
    if (one->hosted && one->hosted->partition) co_await one->hosted->partition->close();
    host->arriving.erase(id);
  }
}

}  // namespace paceline::broker
