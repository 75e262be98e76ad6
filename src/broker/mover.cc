#include "broker/mover.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "broker/errors.h"
#include "broker/mover_shards.h"

// The source's half.

namespace paceline::broker {
namespace {

// What a pause may leave to the target to write again, in all partitions together. Uploading less
// would cost more than it spares.
constexpr uint64_t kTailBytesMax = 512u << 10;
constexpr env::Duration kAdoptWithin = std::chrono::seconds(5);
// A page that somebody else wrote in between is read again; a target may still be letting go of
// what is to come back. A second and a half in all.
constexpr int kAttemptsMax = 8;
constexpr env::Duration kRetryAfter = std::chrono::milliseconds(10);

Outcome refused(KafkaError error, std::string message) {
  return Outcome{error, std::move(message)};
}

std::optional<Lane> lane_of(const cluster::Image& image, BrokerId broker) {
  for (const cluster::BrokerImage& one : image.brokers)
    if (one.id == broker) return Lane{one.id, one.incarnation};
  return std::nullopt;
}

}  // namespace

Mover::Mover(Node& node, env::Shard& shard, cluster::Cluster& cluster, stream::Storage& storage)
    : node_(node), shard_(shard), cluster_(cluster), storage_(storage) {}

Task<std::vector<Outcome>> Mover::give(std::vector<StreamId> streams, BrokerId to) {
  std::vector<Outcome> outcomes(streams.size());
  const auto target = lane_of(*node_.image(), to);
  Outcome why;
  if (!node_.calls()) {
    why = refused(KafkaError::invalid_request, "this broker has no connections to others");
  } else if (!target) {
    why = refused(KafkaError::broker_not_available,
                  fmt::format("broker {} is not registered", to.value));
  }
  if (why.error != KafkaError::none) {
    std::ranges::fill(outcomes, why);
    co_return outcomes;
  }
  if (to == node_.settings().broker) co_return outcomes;  // it is here
  for (size_t from = 0; from < streams.size(); from += kMovesPerCall) {
    const size_t until = std::min(from + kMovesPerCall, streams.size());
    const std::vector<StreamId> some(streams.begin() + static_cast<ptrdiff_t>(from),
                                     streams.begin() + static_cast<ptrdiff_t>(until));
    const Outcome outcome = co_await give_again(some, *target);
    std::fill(outcomes.begin() + static_cast<ptrdiff_t>(from),
              outcomes.begin() + static_cast<ptrdiff_t>(until), outcome);
    if (outcome.error == KafkaError::none || outcome.error == KafkaError::broker_not_available ||
        some.size() == 1)
      continue;
    // One that cannot move does not keep the others.
    for (size_t i = 0; i < some.size() && !node_.stopping(); ++i)
      outcomes[from + i] = co_await give_again({some[i]}, *target);
  }
  co_return outcomes;
}

Task<Outcome> Mover::give_again(std::vector<StreamId> streams, Lane target) {
  Outcome outcome = refused(KafkaError::broker_not_available, "the broker stops");
  for (int attempt = 0; attempt < kAttemptsMax && !node_.stopping(); ++attempt) {
    if (attempt > 0) co_await env::sleep_for(shard_, kRetryAfter * (1 << attempt) / 2);
    outcome = co_await give_some(streams, target);
    if (outcome.error != KafkaError::operation_not_attempted) break;
  }
  co_return outcome;
}

// operation_not_attempted: the metadata have changed meanwhile, and another attempt may succeed.
Task<Outcome> Mover::give_some(std::vector<StreamId> streams, Lane target) {
  Journey journey;
  journey.target = target;
  journey.began = shard_.now();
  if (storage_.stats().unuploaded_bytes > kTailBytesMax) {
    auto uploaded = co_await storage_.upload_now(shard_);
    if (!uploaded) co_return refused(KafkaError::kafka_storage_error, uploaded.error().message);
  }
  auto moves = co_await cluster_.begin_moves(shard_, streams);
  if (!moves && moves.error().code == Code::conflict)
    co_return refused(KafkaError::not_leader_or_follower, moves.error().message);
  if (!moves) co_return refused(KafkaError::request_timed_out, moves.error().message);
  std::vector<Leaving> leaving;
  for (const cluster::Moving& move : *moves)
    leaving.push_back({move.stream, move.epoch, {}, {}, false, false, {}});
  journey.cause = cause_of(moves->front());
  journey.count = leaving.size();
  journey.paused = shard_.now();
  co_await on_shards(leaving, &Mover::pause_on);
  journey.still = shard_.now();
  node_.surroundings().event(event_of("move.begun", journey.cause, journey.count)
                                 .at(journey.began)
                                 .took(journey.paused - journey.began)
                                 .with("from", cluster_.lane().to_string())
                                 .with("to", target.to_string()));
  const auto failed = std::ranges::find_if(leaving, [](const Leaving& one) { return !one.paused; });
  if (failed != leaving.end()) {
    co_await on_shards(leaving, &Mover::resume_on);
    journey.answered = journey.over = shard_.now();
    tell_end(journey, Verdict::off, refused(KafkaError::none, failed->failure));
    if (!failed->too_much) co_return refused(KafkaError::not_leader_or_follower, failed->failure);
    auto uploaded = co_await storage_.upload_now(shard_);
    co_return refused(
        uploaded ? KafkaError::operation_not_attempted : KafkaError::kafka_storage_error,
        failed->failure);
  }
  node_.surroundings().event(event_of("move.paused", journey.cause, journey.count)
                                 .at(journey.still)
                                 .took(journey.still - journey.paused));
  co_return co_await send(leaving, std::move(*moves), target, journey);
}

std::string Mover::cause_of(const cluster::Moving& first) const {
  const auto image = node_.image();
  const cluster::TopicImage* topic = image->topic(first.stream.owner);
  return fmt::format("move-{}-{}@{}", topic ? topic->name : first.stream.owner.to_string(),
                     first.stream.index, first.page.value);
}

Event Mover::event_of(std::string_view type, const std::string& cause, size_t count) const {
  return Event(Event::Plane::control, type).caused_by(cause).with("partitions", count);
}

void Mover::tell_end(const Journey& journey, Verdict verdict, const Outcome& outcome) const {
  const auto us = [](env::Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  };
  Event event = event_of("move.ended", journey.cause, journey.count);
  event.at_ns = journey.over.since_start.count();
  event.took_ns = (journey.over - journey.paused).count();
  event.add("outcome", verdict == Verdict::moved ? "moved"
                       : verdict == Verdict::off ? "off"
                                                 : "unknown");
  if (verdict != Verdict::moved) event.add("reason", outcome.message);
  event.add("to", journey.target.to_string());
  event.add("prepare_us", us(journey.paused - journey.began));
  event.add("still_us", us(journey.still - journey.paused));
  event.add("adopt_us", us(journey.answered - journey.still));
  event.add("decide_us", us(journey.over - journey.answered));
  node_.surroundings().event(std::move(event));
}

// The page decides from here on. Nothing is resumed before it is known that the move is off.
Task<Outcome> Mover::send(std::vector<Leaving>& leaving, std::vector<cluster::Moving> moves,
                          Lane target, Journey& journey) {
  Adopt adopt{cluster_.lane(),
              static_cast<uint32_t>(
                  std::chrono::duration_cast<std::chrono::milliseconds>(kAdoptWithin).count()),
              {}};
  for (size_t i = 0; i < leaving.size(); ++i)
    adopt.partitions.push_back({moves[i], leaving[i].end, std::move(leaving[i].passport)});
  Slice body = encode(PeerRequest(std::move(adopt)));
  node_.surroundings().event(event_of("move.passport_sent", journey.cause, journey.count)
                                 .at(shard_.now())
                                 .with("bytes", body.size())
                                 .with("requests", 1));
  auto answer = co_await node_.calls()->call(shard_, target.broker, std::move(body),
                                             shard_.now() + kAdoptWithin);
  journey.answered = shard_.now();
  Outcome outcome;
  const Verdict verdict = co_await settle(std::move(answer), std::move(moves), outcome);
  if (verdict == Verdict::moved) {
    co_await on_shards(leaving, &Mover::part_with, target);
    journey.over = shard_.now();
    node_.surroundings().event(event_of("move.forwarding", journey.cause, journey.count)
                                   .at(journey.over)
                                   .with("to", target.to_string())
                                   .with("forward_ms", node_.settings().forward_ms));
    co_await on_shards(leaving, &Mover::close_on);
  } else {
    if (verdict == Verdict::off)
      co_await on_shards(leaving, &Mover::resume_on);
    else
      co_await on_shards(leaving, &Mover::turn_away);
    journey.over = shard_.now();
  }
  tell_end(journey, verdict, outcome);
  // What the image said meanwhile of a partition on its way out was put off.
  node_.look_again();
  co_return outcome;
}

Task<Mover::Verdict> Mover::settle(Result<Slice> answer, std::vector<cluster::Moving> moves,
                                   Outcome& outcome) {
  if (!answer && answer.error().code != Code::maybe_written) {
    outcome = refused(KafkaError::broker_not_available, answer.error().message);
    co_return Verdict::off;
  }
  outcome = refused(KafkaError::request_timed_out, "the other broker did not answer in time");
  if (answer) {
    const auto outcomes = decode_outcomes(*answer);
    if (outcomes && outcomes->size() == 1) outcome = outcomes->front();
    if (outcome.error == KafkaError::none) co_return Verdict::moved;
  }
#ifdef PACELINE_PLANT_silence_is_refusal
  co_return Verdict::off;
#endif
  // A target that is fenced while it commits does not know. The page does.
  for (;;) {
    auto moved = co_await cluster_.call_off(shard_, moves);
    if (moved && *moved) {
      outcome = {};
      co_return Verdict::moved;
    }
    if (moved) co_return Verdict::off;
    const Code code = moved.error().code;
    if (code == Code::fenced || code == Code::closed || node_.stopping())
      co_return Verdict::unknown;
    log_warn("a move is undecided: {}", moved.error().to_string());
  }
}

Task<void> Mover::pause_on(Mover* mover, ShardHost* host, LeavingOfShard* mine) {
  env::Gate running(*host->shard);
  for (Leaving* one : *mine) host->shard->spawn(pause_one(mover, host, one, running.enter()));
  co_await running.wait_empty();
}

// Who comes while it is paused passes through a relay, so that it can be sent on in order.
Task<void> Mover::pause_one(Mover* mover, ShardHost* host, Leaving* one, env::Gate::Pass) {
  Hosted* hosted = host->find(one->stream);
  if (!hosted || hosted->partition->epoch() != one->epoch) {
    one->failure = "it is not open here";
    co_return;
  }
  Relay& relay = host->relay(one->stream, {mover->cluster_.lane(), one->epoch});
  if (relay.moving) {
    one->failure = "it is moving already";
    co_return;
  }
  relay.moving = true;
  auto end = co_await hosted->partition->pause();
  if (!end) {
    relay.moving = false;
    one->failure = end.error().message;
    co_return;
  }
  one->paused = true;
  one->end = *end;
  auto passport = co_await mover->storage_.passport(*host->shard, one->stream);
  if (passport) {
    one->passport = std::move(*passport);
    co_return;
  }
  one->failure = passport.error().message;
  one->too_much = passport.error().code == Code::too_large;
  one->paused = false;
  hosted->partition->resume();
  relay.moving = false;
}

Task<void> Mover::resume_on(Mover*, ShardHost* host, LeavingOfShard* mine) {
  for (Leaving* one : *mine) {
    if (!one->paused) continue;
    if (Relay* relay = host->find_relay(one->stream)) relay->moving = false;
    if (Hosted* hosted = host->find(one->stream)) hosted->partition->resume();
  }
  co_return;
}

// This life ends before the move is decided. Nothing of those who wait was sequenced, and whoever
// stops us waits for them.
Task<void> Mover::turn_away(Mover*, ShardHost* host, LeavingOfShard* mine) {
  for (Leaving* one : *mine) {
    Hosted* hosted = host->find(one->stream);
    if (hosted && hosted->partition->epoch() == one->epoch) hosted->partition->moved();
  }
  co_return;
}

// First the new target, then word to those who wait: they go there in their order.
Task<void> Mover::part_with(Mover* mover, ShardHost* host, LeavingOfShard* mine, Lane target) {
  const env::Instant until =
      host->shard->now() + std::chrono::milliseconds(mover->node_.settings().forward_ms);
  for (Leaving* one : *mine) {
    Relay* relay = host->find_relay(one->stream);
    CHECK(relay);
    host->given_up[one->stream] = one->epoch + 1;
    host->metrics.moved_away.fetch_add(1, std::memory_order_relaxed);
    relay->until = until;
    relay->retarget({target, one->epoch + 1});
    if (Hosted* hosted = host->find(one->stream)) hosted->partition->moved();
  }
  co_return;
}

Task<void> Mover::close_on(Mover* mover, ShardHost* host, LeavingOfShard* mine) {
  env::Gate running(*host->shard);
  for (Leaving* one : *mine)
    host->shard->spawn(close_one(mover, host, one->stream, running.enter()));
  co_await running.wait_empty();
}

// It neither comes back nor is opened again before the last word of it is in our log.
Task<void> Mover::close_one(Mover* mover, ShardHost* host, StreamId stream, env::Gate::Pass) {
  co_await mover->node_.close_on(*host, stream, false);
  co_await mover->storage_.release(*host->shard, stream);
  if (Relay* relay = host->find_relay(stream)) relay->moving = false;
}

Task<std::vector<Outcome>> Mover::prefer(std::vector<cluster::Preference> preferences) {
  std::vector<Outcome> outcomes(preferences.size());
  std::vector<cluster::Preference> open;
  for (size_t i = 0; i < preferences.size(); ++i) {
    const StreamId id = preferences[i].stream;
    ShardHost& host = node_.home_of(id.owner, static_cast<int32_t>(id.index));
    auto look = [](ShardHost* where, StreamId what) -> Task<bool> {
      co_return where->find(what) != nullptr;
    };
    const bool here =
        co_await env::call_on(*host.shard, shard_, [look, &host, id] { return look(&host, id); });
    if (here)
      open.push_back(preferences[i]);
    else
      outcomes[i] = refused(KafkaError::not_leader_or_follower, "it is not open here");
  }
  if (open.empty()) co_return outcomes;
  auto written = co_await cluster_.prefer(shard_, std::move(open));
  if (written) co_return outcomes;
  const KafkaError error = written.error().code == Code::conflict
                               ? KafkaError::not_leader_or_follower
                               : KafkaError::request_timed_out;
  for (Outcome& one : outcomes)
    if (one.error == KafkaError::none) one = refused(error, written.error().message);
  co_return outcomes;
}

// By target, partition after partition: the first preferred that lives, else who leads least.
Mover::Plan Mover::plan_drain(const std::set<BrokerId>& without) const {
  const auto image = node_.image();
  const BrokerId self = node_.settings().broker;
  std::map<BrokerId, size_t> led;
  for (const cluster::BrokerImage& broker : image->brokers)
    if (broker.id != self && !without.contains(broker.id)) led[broker.id] = 0;
  std::map<BrokerId, std::vector<StreamId>> plan;
  if (led.empty()) return plan;
  for (const auto& [name, topic] : image->topics)
    for (const cluster::PartitionImage& partition : topic->partitions)
      if (auto found = led.find(partition.leader); found != led.end()) ++found->second;
  for (const auto& [name, topic] : image->topics)
    for (uint32_t index = 0; index < topic->partitions.size(); ++index) {
      const cluster::PartitionImage& partition = topic->partitions[index];
      if (partition.lane != cluster_.lane()) continue;
      auto to = led.end();
      for (BrokerId id : partition.preferred)
        if (to == led.end()) to = led.find(id);
      if (to == led.end())
        to = std::ranges::min_element(led, {}, &std::pair<const BrokerId, size_t>::second);
      ++to->second;
      plan[to->first].push_back({topic->id, index});
    }
  return plan;
}

size_t Mover::led_here() const {
  size_t count = 0;
  for (const auto& [name, topic] : node_.image()->topics)
    for (const cluster::PartitionImage& partition : topic->partitions)
      count += partition.lane == cluster_.lane();
  return count;
}

// Who is going, too, or cannot be reached is not asked again: all brokers may end at one time.
Task<size_t> Mover::drain(env::Instant deadline) {
  constexpr env::Duration kPause = std::chrono::milliseconds(50);
  if (!node_.calls()) co_return led_here();
  while (draining_ && shard_.now() < deadline) co_await env::sleep_for(shard_, kPause);
  draining_ = true;
  const env::Instant began = shard_.now();
  const EventSink& event = node_.surroundings().event;
  event(Event(Event::Plane::control, "broker.draining").with("partitions", led_here()));
  std::set<BrokerId> without;
  Plan plan = plan_drain(without);
  while (!plan.empty() && shard_.now() < deadline && !node_.stopping()) {
    Outcome failure;
    for (auto& [to, streams] : plan) {
      if (shard_.now() >= deadline) break;
      for (const Outcome& outcome : co_await give(std::move(streams), to)) {
        if (outcome.error == KafkaError::none) continue;
        failure = outcome;
        if (outcome.error == KafkaError::broker_not_available) without.insert(to);
      }
    }
    if (failure.error != KafkaError::none)
      log_warn("drain: some partitions stay for now: {}", failure.message);
    // The image follows what was done, and what could not be done may work in a moment.
    co_await env::sleep_for(shard_, failure.error == KafkaError::none ? kPause : 4 * kPause);
    plan = plan_drain(without);
  }
  draining_ = false;
  event(Event(Event::Plane::control, "broker.drained")
            .took(shard_.now() - began)
            .with("partitions_left", led_here()));
  co_return led_here();
}

}  // namespace paceline::broker
