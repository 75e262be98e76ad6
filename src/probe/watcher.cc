#include "probe/watcher.h"

#include <fmt/format.h>

#include "client/client.h"
#include "protocol/gen/api_versions.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/metadata.h"

namespace paceline::probe {
namespace {

constexpr env::Duration kTurn = std::chrono::milliseconds(20);
constexpr env::Duration kPatience = std::chrono::seconds(1);
constexpr env::Duration kPauseAfterError = std::chrono::milliseconds(100);
constexpr size_t kBrokersMax = 64;
constexpr size_t kQuestionsMax = 1'000;
constexpr int64_t kEnd = -1;  // a timestamp of ListOffsets
// Before them there were no epochs.
constexpr int16_t kMetadataVersions[] = {7, 12};
constexpr int16_t kListOffsetsVersions[] = {4, 7};

// The highest version that both sides speak.
Result<int16_t> version_of(const protocol::ApiVersionsResponse& broker, int16_t api,
                           const int16_t (&ours)[2]) {
  for (const auto& one : broker.api_keys) {
    if (one.api_key != api) continue;
    const int16_t version = std::min(one.max_version, ours[1]);
    if (version >= std::max(one.min_version, ours[0])) return version;
  }
  return fail(Code::unsupported, fmt::format("the broker does not speak api {} as we do", api));
}

}  // namespace

struct Watcher::Shared {
  Stage* stage;  // null: the watcher has ended
  env::Shard& shard;
  const client::Security security;
  Sight sight;
  std::map<std::string, uint16_t> asked;  // its client in the roster
  bool resting = false;
};

namespace {

using Shared = std::shared_ptr<Watcher::Shared>;

// A connection to one broker, and what it speaks.
struct Line {
  std::unique_ptr<client::Client> client;
  int16_t metadata = 0, list_offsets = 0;
};

Task<Result<Line>> connect(Shared shared, std::string address) {
  Line line;
  CO_TRY(line.client,
         co_await client::Client::connect(shared->shard, address, kPatience, shared->security));
  CO_TRY(auto versions, co_await line.client->call<protocol::ApiVersionsResponse>(
                            0, protocol::ApiVersionsRequest{}));
  CO_TRY(line.metadata,
         version_of(versions, protocol::MetadataRequest::kApiKey, kMetadataVersions));
  CO_TRY(line.list_offsets,
         version_of(versions, protocol::ListOffsetsRequest::kApiKey, kListOffsetsVersions));
  co_return line;
}

Sight::Answer answer_of(const protocol::MetadataResponse& response) {
  Sight::Answer answer;
  for (const auto& broker : response.brokers)
    answer.brokers.push_back({broker.node_id, fmt::format("{}:{}", broker.host, broker.port)});
  for (const auto& topic : response.topics)
    for (const auto& one : topic.partitions)
      answer.leaders.push_back(
          {{topic.name.value_or(""), one.partition_index}, {one.leader_id, one.leader_epoch}});
  return answer;
}

std::string broker_at(const Sight& sight, const std::string& address) {
  for (const auto& [id, where] : sight.brokers())
    if (where == address) return fmt::format("{}", id);
  return address;
}

void tell(Watcher::Shared& shared, const char* type, const Sight::News& news,
          std::map<std::string, evidence::Figure> figures, const std::string& address) {
  Stage& stage = *shared.stage;
  auto event = stage.teller.now("watcher", "client", type);
  event.topic = news.partition.first;
  event.partition = news.partition.second;
  if (news.leader.epoch >= 0) event.leader_epoch = news.leader.epoch;
  event.client_id = stage.roster.name(shared.asked.at(address));
  event.figures = std::move(figures);
  stage.teller.event(std::move(event));
}

void watch(Shared shared, const std::string& address);

Task<Result<void>> ask_who_leads(Shared shared, Line& line, std::string address) {
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  for (const auto& topic : shared->stage->options.topics)
    request.topics->push_back({.topic_id = {}, .name = topic.name});
  CO_TRY(auto response,
         co_await line.client->call<protocol::MetadataResponse>(line.metadata, request));
  if (!shared->stage) co_return Result<void>{};
  for (const auto& news : shared->sight.told(address, answer_of(response)))
    tell(*shared, "leader.seen", news,
         {{"leader", int64_t{news.leader.broker}},
          {"by", "watcher:" + broker_at(shared->sight, address)},
          {"hinted", false}},
         address);
  for (const auto& [id, where] : shared->sight.brokers()) watch(shared, where);
  co_return Result<void>{};
}

// Asks the broker itself about what it is said to lead.
Task<Result<void>> ask_whether_it_serves(Shared shared, Line& line, std::string address,
                                         int32_t broker) {
  auto questions = shared->sight.to_ask(broker);
  if (questions.empty()) co_return Result<void>{};
  if (questions.size() > kQuestionsMax) questions.resize(kQuestionsMax);
  protocol::ListOffsetsRequest request;
  request.replica_id = -1;
  std::map<Sight::Partition, Sight::News> asked;
  for (const auto& news : questions) {
    if (request.topics.empty() || request.topics.back().name != news.partition.first)
      request.topics.emplace_back().name = news.partition.first;
    auto& one = request.topics.back().partitions.emplace_back();
    one.partition_index = news.partition.second;
    one.current_leader_epoch = news.leader.epoch;
    one.timestamp = kEnd;
    asked[news.partition] = news;
  }
  CO_TRY(auto response,
         co_await line.client->call<protocol::ListOffsetsResponse>(line.list_offsets, request));
  if (!shared->stage) co_return Result<void>{};
  for (const auto& topic : response.topics)
    for (const auto& one : topic.partitions) {
      const auto found = asked.find({std::string(topic.name), one.partition_index});
      if (one.error_code != 0 || found == asked.end()) continue;
      const auto& news = found->second;
      if (shared->sight.served(broker, news.partition, news.leader.epoch))
        tell(*shared, "broker.answers", news, {{"broker", int64_t{broker}}}, address);
    }
  co_return Result<void>{};
}

Task<Result<void>> ask(Shared shared, Line& line, std::string address) {
  CO_TRY_VOID(co_await ask_who_leads(shared, line, address));
  // Two of them may be at one address for a while, after a restart under another id.
  std::vector<int32_t> here;
  for (const auto& [id, where] : shared->sight.brokers())
    if (where == address) here.push_back(id);
  for (const int32_t id : here)
    if (shared->stage) CO_TRY_VOID(co_await ask_whether_it_serves(shared, line, address, id));
  co_return Result<void>{};
}

// One broker's task: all of them together ask about fifty times a second.
Task<void> watch_one(Shared shared, std::string address) {
  std::optional<Line> line;
  while (shared->stage) {
    if (shared->resting) {
      co_await env::sleep_for(shared->shard, kTurn);
      continue;
    }
    const env::Instant began = shared->shard.now();
    Result<void> outcome;
    if (!line) {
      auto connected = co_await connect(shared, address);
      if (connected)
        line = std::move(*connected);
      else
        outcome = fail(connected.error());
    }
    if (line && shared->stage) outcome = co_await ask(shared, *line, address);
    if (!outcome) {
      line.reset();
      if (shared->stage)
        shared->stage->complain("watcher", shared->stage->roster.name(shared->asked.at(address)),
                                std::string(code_name(outcome.error().code)),
                                outcome.error().message, false);
      co_await env::sleep_for(shared->shard, kPauseAfterError);
      continue;
    }
    co_await env::sleep_until(shared->shard, began + kTurn * shared->asked.size());
  }
}

void watch(Shared shared, const std::string& address) {
  if (shared->asked.contains(address) || shared->asked.size() >= kBrokersMax) return;
  Stage& stage = *shared->stage;
  if (stage.roster.full()) return;
  shared->asked[address] = stage.roster.add({.name = "watcher-" + address,
                                             .kind = "watcher",
                                             .library = "paceline",
                                             .version = "1",
                                             .zone = stage.options.zone,
                                             .group = "",
                                             .topic = "",
                                             .idempotent = false,
                                             .transactional = false,
                                             .acks = ""});
  shared->shard.spawn(watch_one(shared, address));
}

}  // namespace

Watcher::Watcher(Stage& stage, std::vector<std::string> bootstrap, client::Security security)
    : shared_(std::make_shared<Shared>(
          Shared{&stage, stage.shard, std::move(security), {}, {}, false})) {
  for (const std::string& address : bootstrap) watch(shared_, address);
}

void Watcher::rest(bool resting) {
  shared_->resting = resting;
}

void Watcher::stop() {
  if (!shared_->stage) return;
  for (const auto& [address, client] : shared_->asked) shared_->stage->roster.ended(client);
  shared_->stage = nullptr;
}

}  // namespace paceline::probe
