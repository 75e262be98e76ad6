#include "broker/nearby.h"

#include <algorithm>

namespace paceline::broker {
namespace {

// Well below what objects stay for readers after they are replaced.
constexpr env::Duration kKnowFor = std::chrono::seconds(2);
constexpr env::Duration kAnswerWithin = std::chrono::seconds(2);
constexpr size_t kKnownMax = 2'000;

// The leader's word, if it has one.
Task<std::expected<Slice, KafkaError>> ask_leader(Node& node, env::Shard& home, StreamId stream,
                                                  const cluster::PartitionImage& led, Offset from) {
  if (!node.calls()) co_return std::unexpected(KafkaError::not_leader_or_follower);
  Slice body = encode(PeerRequest(ExcerptRequest{stream, led.epoch, from}));
  auto answer =
      co_await node.calls()->call(home, led.leader, std::move(body), home.now() + kAnswerWithin);
  auto told = answer ? decode_bytes_answer(*answer) : fail(std::move(answer).error());
  // It has moved, or nobody knows: the client learns who leads it.
  if (!told || std::holds_alternative<Elsewhere>(*told))
    co_return std::unexpected(KafkaError::not_leader_or_follower);
  if (std::get<Slice>(*told).empty()) co_return std::unexpected(kAskLeader);
  co_return std::move(std::get<Slice>(*told));
}

void remember(ShardHost& host, const StreamId& stream, Slice excerpt) {
  const env::Instant now = host.shard->now();
  if (host.excerpts.size() >= kKnownMax)
    std::erase_if(host.excerpts, [&](const auto& one) { return now >= one.second.until; });
  if (host.excerpts.size() < kKnownMax)
    host.excerpts[stream] = {std::move(excerpt), now + kKnowFor};
}

partition::Fetched fetched_of(stream::ReadResult read) {
  partition::Fetched fetched;
  for (stream::Batch& batch : read.batches) {
    fetched.bytes += batch.bytes.size();
    fetched.records.push_back(std::move(batch.bytes));
  }
  fetched.high_watermark = fetched.last_stable_offset = read.end;
  fetched.log_start = read.start;
  return fetched;
}

}  // namespace

std::optional<BrokerId> reader_in_rack(const Node& node, const cluster::Image& image,
                                       std::string_view rack, const StreamId& stream) {
  if (rack.empty() || rack == node.settings().rack || !node.calls() || !node.settings().near_reads)
    return std::nullopt;
  std::vector<BrokerId> there;
  for (const cluster::BrokerImage& broker : image.brokers)
    if (broker.rack == rack && broker.id != node.settings().broker) there.push_back(broker.id);
  if (there.empty()) return std::nullopt;
  return there[std::hash<StreamId>{}(stream) % there.size()];
}

Task<std::expected<partition::Fetched, KafkaError>> read_nearby(Node& node, env::Shard& home,
                                                                StreamId stream,
                                                                cluster::PartitionImage led,
                                                                partition::FetchRequest what) {
  if (what.expected_epoch.value >= 0 && what.expected_epoch != led.epoch)
    co_return std::unexpected(what.expected_epoch < led.epoch ? KafkaError::fenced_leader_epoch
                                                              : KafkaError::unknown_leader_epoch);
  if (led.leader.value < 0) co_return std::unexpected(KafkaError::not_leader_or_follower);
  ShardHost& host = node.host_of(home);
  const stream::ReadRequest wanted{what.from, what.bytes_max, what.at_least_one};
  const auto known = host.excerpts.find(stream);
  Slice excerpt;
  bool fresh = known == host.excerpts.end() || home.now() >= known->second.until;
  if (!fresh) excerpt = known->second.bytes;
  for (;;) {
    if (fresh) {
      auto told = co_await ask_leader(node, home, stream, led, what.from);
      if (!told) co_return std::unexpected(told.error());
      excerpt = std::move(*told);
      remember(host, stream, excerpt);
    }
    auto read = co_await node.storage().read_excerpt(home, excerpt, wanted);
    // Nobody reads nothing here: what follows is with the leader.
    const bool empty = read && read->batches.empty() && (what.bytes_max > 0 || what.at_least_one);
    if (read && !empty) co_return fetched_of(std::move(*read));
    host.excerpts.erase(stream);
    if (fresh) co_return std::unexpected(kAskLeader);
    fresh = true;
  }
}

namespace {

Task<BytesAnswer> excerpt_on(ShardHost* host, ExcerptRequest request) {
  Hosted* hosted = host->find(request.stream);
  if (!hosted || hosted->partition->epoch() != request.epoch) co_return Elsewhere{};
  co_return hosted->partition->excerpt(request.from);
}

}  // namespace

Task<BytesAnswer> serve_excerpt(Node& node, env::Shard& home, ExcerptRequest request) {
  ShardHost& host = node.home_of(request.stream.owner, static_cast<int32_t>(request.stream.index));
  auto run = [&host, request] { return excerpt_on(&host, request); };
  co_return co_await env::call_on(*host.shard, home, run);
}

}  // namespace paceline::broker
