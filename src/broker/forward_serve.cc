#include <algorithm>

#include "broker/api.h"
#include "broker/errors.h"
#include "broker/forward.h"
#include "protocol/gen/api.h"

// What other brokers send on to us. Nothing of it goes any further.

namespace paceline::broker {
namespace {

// Null: the partition is not here in that term, and `elsewhere` says what is known.
Hosted* find_term(Node& node, ShardHost& host, const StreamId& id, Epoch epoch,
                  Elsewhere& elsewhere) {
  Hosted* hosted = host.find(id);
  if (hosted && hosted->partition->epoch() > epoch)
    elsewhere = {node.cluster().lane(), hosted->partition->epoch()};
  if (Relay* relay = host.find_relay(id))
    if (relay->target().epoch > std::max(epoch, elsewhere.epoch))
      elsewhere = {relay->target().lane, relay->target().epoch};
  return elsewhere.epoch.value < 0 && hosted && hosted->partition->epoch() == epoch ? hosted
                                                                                    : nullptr;
}

ShardHost& home_of(Node& node, const StreamId& id) {
  return node.home_of(id.owner, static_cast<int32_t>(id.index));
}

// As find_term(), but waits for a term that is not open here yet: whoever asks has heard of it
// before us. Requests go on in the order in which they came.
Task<Hosted*> wait_for_term(Node* node, ShardHost* host, StreamId id, Epoch epoch,
                            env::Instant deadline, Elsewhere* elsewhere) {
  Hosted* hosted = find_term(*node, *host, id, epoch, *elsewhere);
  if (hosted && !host->early.any(id)) co_return hosted;
  const Early::Place place(host->early, id);
  for (;;) {
    *elsewhere = {};
    hosted = find_term(*node, *host, id, epoch, *elsewhere);
    if (hosted && place.first()) co_return hosted;
    const cluster::TopicImage* topic = node->image()->topic(id.owner);
    if (topic && id.index < topic->partitions.size()) {
      const cluster::PartitionImage& led = topic->partitions[id.index];
      if (led.epoch > std::max(epoch, elsewhere->epoch)) *elsewhere = {led.lane, led.epoch};
    }
    if (elsewhere->epoch > epoch || node->stopping()) co_return nullptr;
    if (!co_await host->opened.wait_until(deadline)) co_return nullptr;
  }
}

Task<AppendAnswer> append_on(Node* node, ShardHost* host, ForwardedAppend append) {
  Elsewhere elsewhere;
  const env::Duration within = std::chrono::milliseconds(append.within_ms);
  const env::Instant until = host->shard->now() + std::min(within, kBetweenLeaders);
  Hosted* hosted =
      co_await wait_for_term(node, host, append.stream, append.epoch, until, &elsewhere);
  if (!hosted) co_return elsewhere;
  if (append.within_ms == 0)
    co_return partition::AppendFailure{KafkaError::request_timed_out, "it came too late", {}};
  await_first(*hosted->partition, append.records.bytes(), append.awaited);
  auto done = co_await append_in(*host, *hosted, append.stream, std::move(append.records),
                                 append.produce_version);
  if (done) co_return *done;
  if (!done.error().moved) co_return std::move(done.error());
  (void)find_term(*node, *host, append.stream, append.epoch, elsewhere);
  co_return elsewhere;
}

struct FetchOnShards {
  ForwardedFetch ask;
  std::vector<ReadAnswer> answers;
  size_t bytes = 0;

  static Task<void> run(Node* node, ShardHost* host, FetchOnShards* all) {
    for (size_t i = 0; i < all->ask.reads.size(); ++i) {
      const ForwardedRead& read = all->ask.reads[i];
      if (&home_of(*node, read.stream) != host) continue;
      Elsewhere elsewhere;
      Hosted* hosted = find_term(*node, *host, read.stream, read.epoch, elsewhere);
      if (!hosted) {
        all->answers[i] = elsewhere;
        continue;
      }
      partition::FetchRequest what;
      what.from = read.from;
      what.expected_epoch = read.expected_epoch;
      what.read_committed = all->ask.read_committed;
      const size_t left = all->ask.bytes_max > all->bytes ? all->ask.bytes_max - all->bytes : 0;
      what.bytes_max = std::min<size_t>(read.bytes_max, left);
      what.at_least_one = all->ask.at_least_one && all->bytes == 0;
      const bool first = hosted->awaits_client();
      auto fetched = co_await hosted->partition->fetch(what);
      if (fetched) {
        if (first) host->tell_client(read.stream, "fetch");
        all->bytes += fetched->bytes;
        host->note_read(read.stream, fetched->bytes);
        all->answers[i] = std::move(*fetched);
        continue;
      }
      (void)find_term(*node, *host, read.stream, read.epoch, elsewhere);
      if (elsewhere.epoch.value >= 0)
        all->answers[i] = elsewhere;
      else
        all->answers[i] = fetched.error().code;
    }
  }
};

struct Watching {
  explicit Watching(env::Shard& shard) : changed(shard) {}
  env::Event changed;
};

Task<WatchAnswer> watch_on(Node* node, ShardHost* host, ForwardedWatch watch) {
  const env::Instant deadline =
      host->shard->now() + std::chrono::milliseconds(std::min(watch.within_ms, 30'000u));
  auto watching = std::make_shared<Watching>(*host->shard);
  std::unique_ptr<partition::Partition::Subscription> subscription;
  for (;;) {
    Elsewhere elsewhere;
    Hosted* hosted = find_term(*node, *host, watch.stream, watch.epoch, elsewhere);
    if (!hosted) co_return elsewhere;
    const Ends ends{hosted->partition->log_start(), hosted->partition->high_watermark()};
    const bool over = host->shard->now() >= deadline || node->stopping();
    if (over || ends.start != watch.start || ends.end != watch.end) co_return ends;
    // Steps: an ending broker is not held up, and a closed partition says nothing more.
    if (!subscription)
      subscription = hosted->partition->subscribe([watching] { watching->changed.notify_all(); });
    co_await watching->changed.wait_until(
        std::min(deadline, host->shard->now() + std::chrono::milliseconds(250)));
  }
}

// The handler runs as for a client of ours; where the coordinator has moved on it says so.
Task<BytesAnswer> answer_group(Node& node, env::Shard& home, const ForwardedGroup& group) {
  const Elsewhere nowhere;
  const Handler handler = find_handler(group.api_key);
  const protocol::Api* api = protocol::find_api(group.api_key);
  if (!follows_coordinator(group.api_key) || group.version < api->version_min ||
      group.version > api->version_max)
    co_return nowhere;
  const Peer peer;
  Request request{node, home, peer, group.api_key, group.version, 0, "", group.body};
  const Reply reply = co_await handler(request);
  if (request.moved) co_return Elsewhere{request.moved->lane, request.moved->epoch};
  if (reply.what != Reply::What::frame || request.groups != 1) co_return nowhere;
  std::string frame;
  for (const Slice& piece : reply.frame) frame += as_text(piece.bytes());
  co_return Slice::copy_of(as_bytes(frame));
}

}  // namespace

Task<BytesAnswer> serve_group(Node& node, env::Shard& home, ForwardedGroup group) {
  ShardHost& host = home_of(node, group.stream);
  Elsewhere elsewhere;
  auto wait = [](Node* of, ShardHost* where, StreamId id, Epoch epoch,
                 Elsewhere* into) -> Task<bool> {
    const env::Instant until = where->shard->now() + kBetweenLeaders;
    co_return co_await wait_for_term(of, where, id, epoch, until, into) != nullptr;
  };
  auto waiting = [&] { return wait(&node, &host, group.stream, group.epoch, &elsewhere); };
  if (!co_await env::call_on(*host.shard, home, waiting)) co_return elsewhere;
  co_return co_await answer_group(node, home, group);
}

Task<AppendAnswer> serve_append(Node& node, env::Shard& home, ForwardedAppend append) {
  ShardHost& host = home_of(node, append.stream);
  auto run = [&node, &host, append = std::move(append)]() mutable {
    return append_on(&node, &host, std::move(append));
  };
  co_return co_await env::call_on(*host.shard, home, std::move(run));
}

Task<std::vector<ReadAnswer>> serve_fetch(Node& node, env::Shard& home, ForwardedFetch fetch) {
  FetchOnShards all;
  all.ask = std::move(fetch);
  all.answers.resize(all.ask.reads.size(), Elsewhere{});
  for (size_t shard = 0; shard < node.shard_count(); ++shard) {
    ShardHost& host = node.host(shard);
    const bool wanted = std::any_of(
        all.ask.reads.begin(), all.ask.reads.end(),
        [&](const ForwardedRead& read) { return &home_of(node, read.stream) == &host; });
    if (!wanted) continue;
    auto run = [&node, &host, &all] { return FetchOnShards::run(&node, &host, &all); };
    co_await env::call_on(*host.shard, home, run);
  }
  co_return std::move(all.answers);
}

Task<WatchAnswer> serve_watch(Node& node, env::Shard& home, ForwardedWatch watch) {
  ShardHost& host = home_of(node, watch.stream);
  auto run = [&node, &host, watch] { return watch_on(&node, &host, watch); };
  co_return co_await env::call_on(*host.shard, home, run);
}

}  // namespace paceline::broker
