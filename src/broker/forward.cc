#include "broker/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "broker/errors.h"
#include "record/batch.h"

namespace paceline::broker {
namespace {

constexpr env::Duration kReadWithin = std::chrono::seconds(5);
constexpr env::Duration kWatchWithin = std::chrono::seconds(5);

AppendOutcome refused(KafkaError error, std::string message) {
  return {std::unexpected(partition::AppendFailure{error, std::move(message), {}}), false};
}

AppendOutcome nobody() {
  return refused(KafkaError::not_leader_or_follower, "another broker leads it");
}

uint32_t ms_until(env::Instant now, env::Instant deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(left, 0, 60'000));
}

void heard_of(Relay& relay, const Elsewhere& elsewhere) {
  if (elsewhere.lane.broker.value >= 0) relay.retarget({elsewhere.lane, elsewhere.epoch});
}

// What the leader made of it; nothing: it has left that leader, which did nothing.
Task<std::optional<AppendOutcome>> append_there(Node& node, ShardHost& host, Relay& relay,
                                                ForwardedAppend append, env::Instant deadline) {
  const Relay::Target to = relay.target();
  append.epoch = to.epoch;
  append.within_ms = ms_until(host.shard->now(), deadline);
  Slice body = encode(PeerRequest(std::move(append)));
  auto answer = co_await node.calls()->call(*host.shard, to.lane.broker, std::move(body), deadline);
  if (!answer) {
    AppendOutcome outcome = nobody();
    outcome.unknown = answer.error().code == Code::maybe_written;
    co_return outcome;
  }
  auto told = decode_append_answer(*answer);
  if (!told) {
    AppendOutcome outcome = nobody();
    outcome.unknown = true;
    co_return outcome;
  }
  if (const auto* elsewhere = std::get_if<Elsewhere>(&*told)) {
    heard_of(relay, *elsewhere);
    co_return std::nullopt;
  }
  if (auto* failure = std::get_if<partition::AppendFailure>(&*told))
    co_return AppendOutcome{std::unexpected(std::move(*failure)), false};
  co_return AppendOutcome{std::get<partition::Appended>(*told), false};
}

// What its client has sent behind it must not be taken for a producer's beginning, if the partition
// opens here next, or has just done so.
void note_refused(ShardHost& host, StreamId id, std::string_view topic, const Slice& records) {
  const auto index = static_cast<int32_t>(id.index);
  host.refusals.note(topic, index, records.bytes(), host.shard->now());
  if (Hosted* hosted = host.find(id))
    await_first(*hosted->partition, records.bytes(),
                host.refusals.awaited(topic, index, records.bytes(), host.shard->now()));
}

}  // namespace

Task<void> tell_relay(Node& node, env::Shard& home, StreamId id, Elsewhere elsewhere) {
  ShardHost& host = node.home_of(id.owner, static_cast<int32_t>(id.index));
  auto tell = [](ShardHost* where, StreamId stream, Elsewhere what) -> Task<void> {
    if (Relay* relay = where->find_relay(stream)) heard_of(*relay, what);
    co_return;
  };
  auto telling = [tell, &host, id, elsewhere] { return tell(&host, id, elsewhere); };
  co_await env::call_on(*host.shard, home, telling);
}

void await_first(partition::Partition& partition, Bytes batch, int32_t first) {
  const auto view = record::BatchView::parse(batch);
  if (first < 0 || !view) return;
  partition.refused_before(view->producer_id().value, view->producer_epoch(), first);
}

Task<std::expected<partition::Appended, partition::AppendFailure>> append_in(
    ShardHost& host, Hosted& hosted, StreamId id, Slice records, int16_t produce_version) {
  const bool first = hosted.awaits_client();
  host.load.add(id, hosted.load, records.size());
  partition::AppendRequest what;
  what.records = std::move(records);
  what.produce_version = produce_version;
  auto done = co_await hosted.partition->append(std::move(what));
  if (first && done) host.tell_client(id, "produce");
  co_return done;
}

Task<AppendOutcome> append_where_led(Node& node, ShardHost& host, StreamId id,
                                     std::string_view topic, Slice records, int16_t produce_version,
                                     env::Instant deadline, bool led_here) {
  Relay* relay = host.find_relay(id);
  if (!relay) {
    Hosted* hosted = host.find(id);
    if (!hosted) {
      // Also of what is led elsewhere: it may come here, and what is on its way behind this.
      note_refused(host, id, topic, records);
      const KafkaError why =
          led_here ? KafkaError::leader_not_available : KafkaError::not_leader_or_follower;
      co_return refused(why, "");
    }
    co_return AppendOutcome{
        co_await append_in(host, *hosted, id, std::move(records), produce_version), false};
  }
  const Lane own = node.cluster().lane();
  Relay::Place place(host.relays.at(id));
  for (;;) {
    const env::Instant patience = std::min(deadline, host.shard->now() + kBetweenLeaders);
    // While it is only slow, as in a pause, nobody is refused.
    if (!co_await place.wait_turn(relay->lost() ? patience : deadline)) {
      relay->ask_again();
      note_refused(host, id, topic, records);
      co_return nobody();
    }
    const Relay::Target to = relay->target();
    place.sent();
    if (to.lane == own) {
      Hosted* hosted = host.find(id);
      if (!hosted) {
        note_refused(host, id, topic, records);
        co_return refused(KafkaError::leader_not_available, "");
      }
      auto done = co_await append_in(host, *hosted, id, records, produce_version);
      if (done || !done.error().moved) co_return AppendOutcome{std::move(done), false};
    } else {
      if (!node.calls()) co_return nobody();
      node.note_forward(host.shard->now());
      if (node.lets_go()) {
        note_refused(host, id, topic, records);
        co_return nobody();
      }
      host.metrics.forwarded_appends.fetch_add(1, std::memory_order_relaxed);
      const int32_t awaited = host.refusals.awaited(topic, static_cast<int32_t>(id.index),
                                                    records.bytes(), host.shard->now());
      ForwardedAppend append{id, to.epoch, 0, produce_version, awaited, records};
      auto outcome = co_await append_there(node, host, *relay, std::move(append), deadline);
      if (outcome && !outcome->result) note_refused(host, id, topic, records);
      if (outcome) co_return std::move(*outcome);
    }
    place.came_back(to.epoch);
  }
}

namespace {

// The reads that one broker leads, in one question.
Task<void> ask_leader(Node* node, env::Shard* home, std::vector<RemoteRead*> reads,
                      ForwardedFetch fetch, env::Gate::Pass) {
  for (const RemoteRead* read : reads) {
    // What a client knows of an earlier term is not wrong: nothing was taken back by the move.
    const Epoch asked = read->what.expected_epoch;
    const Epoch expected = asked <= read->leader.epoch ? Epoch{-1} : asked;
    fetch.reads.push_back(
        {read->stream, read->leader.epoch, read->what.from, expected,
         static_cast<uint32_t>(std::min<size_t>(read->what.bytes_max, UINT32_MAX))});
  }
  node->note_forward(home->now());
  if (node->lets_go()) {
    for (RemoteRead* read : reads)
      read->answer = std::unexpected(KafkaError::not_leader_or_follower);
    co_return;
  }
  node->host_of(*home).metrics.forwarded_reads.fetch_add(reads.size(), std::memory_order_relaxed);
  const BrokerId to = reads.front()->leader.lane.broker;
  Slice body = encode(PeerRequest(std::move(fetch)));
  auto answer = co_await node->calls()->call(*home, to, std::move(body), home->now() + kReadWithin);
  Result<std::vector<ReadAnswer>> told = fail(Code::unavailable, "");
  if (answer) told = decode_fetch_answer(*answer);
  if (!told || told->size() != reads.size()) {
    for (RemoteRead* read : reads)
      read->answer = std::unexpected(KafkaError::not_leader_or_follower);
    co_return;
  }
  for (size_t i = 0; i < reads.size(); ++i) {
    RemoteRead& read = *reads[i];
    if (auto* fetched = std::get_if<partition::Fetched>(&(*told)[i]))
      read.answer = std::move(*fetched);
    else if (auto* error = std::get_if<KafkaError>(&(*told)[i]))
      read.answer = std::unexpected(*error);
    const auto* elsewhere = std::get_if<Elsewhere>(&(*told)[i]);
    if (elsewhere) co_await tell_relay(*node, *home, read.stream, *elsewhere);
  }
}

}  // namespace

Task<void> read_where_led(Node& node, env::Shard& home, std::vector<RemoteRead*> reads,
                          size_t bytes_max, bool at_least_one, bool read_committed) {
  std::map<BrokerId, std::vector<RemoteRead*>> by_leader;
  for (RemoteRead* read : reads) by_leader[read->leader.lane.broker].push_back(read);
  env::Gate running(home);
  for (auto& [to, mine] : by_leader) {
    ForwardedFetch fetch;
    fetch.bytes_max = static_cast<uint32_t>(
        std::min<size_t>(bytes_max / by_leader.size(), node.settings().fetch_bytes_max));
    fetch.at_least_one = at_least_one;
    fetch.read_committed = read_committed;
    home.spawn(ask_leader(&node, &home, std::move(mine), std::move(fetch), running.enter()));
  }
  co_await running.wait_empty();
}

namespace {

// One question is under way for all who wait for a partition.
class WatchOfRelay final : public partition::Partition::Subscription {
 public:
  WatchOfRelay(Node& node, ShardHost& host, StreamId id, std::shared_ptr<Relay> relay,
               std::function<void()> changed)
      : relay_(std::move(relay)), listener_(relay_->listen(std::move(changed))) {
    if (std::exchange(relay_->watched, true)) return;
    host.shard->spawn(run(&node, &host, id, relay_));
  }

 private:
  static Task<void> run(Node* node, ShardHost* host, StreamId id, std::shared_ptr<Relay> relay) {
    const Lane own = node->cluster().lane();
    while (relay->has_listeners() && relay->target().lane != own && !node->stopping()) {
      const Relay::Target to = relay->target();
      ForwardedWatch watch{id, to.epoch, ms_until({}, env::Instant{kWatchWithin}), relay->start,
                           relay->end};
      Slice body = encode(PeerRequest(watch));
      auto answer = co_await node->calls()->call(*host->shard, to.lane.broker, std::move(body),
                                                 host->shard->now() + 2 * kWatchWithin);
      Result<WatchAnswer> told = fail(Code::unavailable, "");
      if (answer) told = decode_watch_answer(*answer);
      const auto* ends = told ? std::get_if<Ends>(&*told) : nullptr;
      const auto* elsewhere = told ? std::get_if<Elsewhere>(&*told) : nullptr;
      if (elsewhere) heard_of(*relay, *elsewhere);
      if (ends && (ends->start != relay->start || ends->end != relay->end)) {
        relay->start = ends->start;
        relay->end = ends->end;
        relay->notify();
      } else if (!ends) {
        // Whoever waits looks for itself, and not too often.
        co_await relay->wait_changed(host->shard->now() + std::chrono::milliseconds(100));
        relay->notify();
      }
    }
    relay->watched = false;
  }

  std::shared_ptr<Relay> relay_;
  Relay::Listener listener_;
};

}  // namespace

std::unique_ptr<partition::Partition::Subscription> watch_where_led(Node& node, ShardHost& host,
                                                                    StreamId id,
                                                                    std::function<void()> changed) {
  return std::make_unique<WatchOfRelay>(node, host, id, host.relays.at(id), std::move(changed));
}

}  // namespace paceline::broker
