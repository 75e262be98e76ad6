#include "drill/kafka.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/uuid.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/api_versions.h"
#include "protocol/gen/create_topics.h"
#include "protocol/gen/delete_topics.h"
#include "protocol/gen/describe_log_dirs.h"
#include "protocol/gen/drain_broker.h"
#include "protocol/gen/elect_leaders.h"
#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/init_producer_id.h"
#include "protocol/gen/list_partition_reassignments.h"
#include "protocol/gen/metadata.h"
#include "record/kafka_error.h"

namespace paceline::drill {
namespace {

constexpr env::Duration kPatience = std::chrono::seconds(3);
constexpr env::Duration kAgain = std::chrono::milliseconds(200);
constexpr env::Duration kCoordinatorWithin = std::chrono::seconds(15);  // it may make its topic
constexpr int32_t kTransactionMs = 60'000;
constexpr int16_t kAddPartitionsToTxn = 24, kEndTxn = 26;
constexpr int16_t kCoordinatorLoading = 14, kCoordinatorNotAvailable = 15, kNotCoordinator = 16,
                  kConcurrentTransactions = 51;
constexpr int16_t kElectionNotNeeded = 84;
constexpr int16_t kUnknownTopic = 3;
constexpr int16_t kUnknownTopicId = 100;

std::unexpected<Error> refused(int16_t code, const std::optional<std::string>& message,
                               const std::string& what) {
  const auto name = record::kafka_error_name(static_cast<record::KafkaError>(code));
  return fail(Code::unavailable, message && !message->empty()
                                     ? fmt::format("{}: {} ({})", what, *message, name)
                                     : fmt::format("{}: {}", what, name));
}

ClusterView view_of(const protocol::MetadataResponse& response) {
  ClusterView view;
  view.cluster_id = response.cluster_id.value_or("");
  view.controller = response.controller_id;
  for (const auto& broker : response.brokers)
    view.brokers.push_back({broker.node_id, broker.host, static_cast<uint16_t>(broker.port),
                            broker.rack.value_or("")});
  for (const auto& topic : response.topics) {
    auto& seen = view.topics.emplace_back();
    seen.name = topic.name.value_or("");
    seen.id = topic.topic_id.is_zero() ? "" : topic.topic_id.to_string();
    seen.internal = topic.is_internal;
    for (const auto& partition : topic.partitions)
      seen.partitions.push_back({partition.partition_index, partition.leader_id,
                                 partition.leader_epoch, partition.replica_nodes,
                                 partition.isr_nodes});
    std::ranges::sort(seen.partitions, {}, &ClusterView::Partition::index);
  }
  std::ranges::sort(view.brokers, {}, &ClusterView::Broker::id);
  std::ranges::sort(view.topics, {}, &ClusterView::Topic::name);
  return view;
}

}  // namespace

Kafka::Kafka(env::Shard& shard, const std::string& bootstrap, client::Security security)
    : shard_(shard), security_(std::move(security)), addresses_(client::addresses_of(bootstrap)) {}

Task<Result<std::unique_ptr<client::Client>>> Kafka::connect() {
  Error last{Code::invalid_argument, "there is no broker to ask"};
  for (size_t tried = 0; tried < addresses_.size(); ++tried) {
    const std::string address = addresses_[next_ % addresses_.size()];
    auto client = co_await client::Client::connect(shard_, address, kPatience, security_);
    if (client) {
      // That it accepts does not mean that it answers: one that stands still accepts, too.
      protocol::ApiVersionsRequest request;
      request.client_software_name = "paceline-drill";
      request.client_software_version = "1";
      auto answer = co_await (*client)->call<protocol::ApiVersionsResponse>(3, request);
      if (answer) co_return std::move(*client);
      last = answer.error();
    } else {
      last = client.error();
    }
    ++next_;
  }
  co_return fail(last);
}

Task<Result<ClusterView>> Kafka::look() {
  CO_TRY(auto client, co_await connect());
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  request.topics.reset();
  auto response = co_await client->call<protocol::MetadataResponse>(12, request);
  if (!response) {
    ++next_;
    co_return fail(response.error());
  }
  ClusterView view = view_of(*response);
  for (const auto& broker : view.brokers)
    if (std::ranges::find(addresses_, broker.address()) == addresses_.end())
      addresses_.push_back(broker.address());
  co_return view;
}

Task<Result<env::Duration>> Kafka::ping(std::string address) {
  CO_TRY(auto client, co_await client::Client::connect(shard_, address, kPatience, security_));
  protocol::ApiVersionsRequest request;
  request.client_software_name = "paceline-drill";
  request.client_software_version = "1";
  const env::Instant asked = shard_.now();
  CO_TRY([[maybe_unused]] auto answer,
         co_await client->call<protocol::ApiVersionsResponse>(3, request));
  co_return shard_.now() - asked;
}

Task<Result<int32_t>> Kafka::coordinator_of(std::string group) {
  CO_TRY(auto client, co_await connect());
  protocol::FindCoordinatorRequest request;
  request.key = group;
  CO_TRY(auto response, co_await client->call<protocol::FindCoordinatorResponse>(1, request));
  if (response.error_code != 0)
    co_return refused(response.error_code, response.error_message,
                      fmt::format("the coordinator of {}", group));
  co_return response.node_id;
}

Task<Result<std::string>> Kafka::create_topic(std::string name, int32_t partitions,
                                              int16_t replicas) {
  CO_TRY(auto client, co_await connect());
  protocol::CreateTopicsRequest request;
  auto& asked = request.topics.emplace_back();
  asked.name = name;
  asked.num_partitions = partitions;
  asked.replication_factor = replicas;
  CO_TRY(auto response, co_await client->call<protocol::CreateTopicsResponse>(7, request));
  if (response.topics.empty())
    co_return fail(Code::corrupt, fmt::format("topic {}: the broker says nothing of it", name));
  const auto& answer = response.topics.front();
  if (answer.error_code != 0)
    co_return refused(answer.error_code, answer.error_message, fmt::format("topic {}", name));
  co_return answer.topic_id.to_string();
}

Task<Result<void>> Kafka::delete_topic(std::string id) {
  const auto uuid = Uuid::parse(id);
  if (!uuid || uuid->is_zero())
    co_return fail(Code::invalid_argument, fmt::format("'{}' is no id of a topic", id));
  CO_TRY(auto client, co_await connect());
  protocol::DeleteTopicsRequest request;
  auto& asked = request.topics.emplace_back();
  asked.topic_id = *uuid;
  request.timeout_ms = 10'000;
  CO_TRY(auto response, co_await client->call<protocol::DeleteTopicsResponse>(6, request));
  if (response.responses.empty())
    co_return fail(Code::corrupt, fmt::format("topic {}: the broker says nothing of it", id));
  const auto& answer = response.responses.front();
  if (answer.error_code == kUnknownTopicId || answer.error_code == kUnknownTopic)
    co_return fail(Code::not_found, fmt::format("there is no topic {}", id));
  if (answer.error_code != 0)
    co_return refused(answer.error_code, answer.error_message, fmt::format("topic {}", id));
  co_return Result<void>{};
}

Task<Result<void>> Kafka::reassign(std::vector<Named> wanted) {
  CO_TRY(auto client, co_await connect());
  protocol::AlterPartitionReassignmentsRequest request;
  std::map<std::string, std::vector<const Named*>> by_topic;
  for (const Named& one : wanted) by_topic[one.topic].push_back(&one);
  for (const auto& [topic, all] : by_topic) {
    auto& asked = request.topics.emplace_back();
    asked.name = topic;
    for (const Named* one : all) {
      auto& partition = asked.partitions.emplace_back();
      partition.partition_index = one->partition;
      partition.replicas = one->replicas;
    }
  }
  CO_TRY(auto response,
         co_await client->call<protocol::AlterPartitionReassignmentsResponse>(0, request));
  if (response.error_code != 0)
    co_return refused(response.error_code, response.error_message, "a reassignment");
  for (const auto& topic : response.responses)
    for (const auto& one : topic.partitions)
      if (one.error_code != 0)
        co_return refused(one.error_code, one.error_message,
                          fmt::format("{}-{}", topic.name, one.partition_index));
  co_return Result<void>{};
}

Task<Result<void>> Kafka::elect_preferred(std::vector<Named> wanted) {
  if (wanted.empty()) co_return Result<void>{};
  CO_TRY(auto client, co_await connect());
  protocol::ElectLeadersRequest request;
  std::map<std::string, std::vector<int32_t>> by_topic;
  for (const Named& one : wanted) by_topic[one.topic].push_back(one.partition);
  for (const auto& [topic, partitions] : by_topic) {
    auto& asked = request.topic_partitions->emplace_back();
    asked.topic = topic;
    asked.partitions = partitions;
  }
  CO_TRY(auto response, co_await client->call<protocol::ElectLeadersResponse>(2, request));
  if (response.error_code != 0) co_return refused(response.error_code, {}, "an election");
  for (const auto& topic : response.replica_election_results)
    for (const auto& one : topic.partition_result)
      if (one.error_code != 0 && one.error_code != kElectionNotNeeded)
        co_return refused(one.error_code, one.error_message,
                          fmt::format("{}-{}", topic.topic, one.partition_id));
  co_return Result<void>{};
}

Task<Result<void>> Kafka::move(std::vector<Named> wanted) {
  CO_TRY_VOID(co_await reassign(wanted));
  co_return co_await elect_preferred(std::move(wanted));
}

Task<Result<void>> Kafka::drain(int32_t broker) {
  CO_TRY(auto client, co_await connect());
  protocol::DrainBrokerRequest request;
  request.broker_id = broker;
  auto response = co_await client->call<protocol::DrainBrokerResponse>(0, request);
  if (!response) co_return fail(Code::unsupported, response.error().message);
  if (response->error_code != 0)
    co_return refused(response->error_code, response->error_message,
                      fmt::format("a drain of broker {}", broker));
  co_return Result<void>{};
}

// Who answers for a transactional id: "host:port", or the error's number.
Task<Result<std::pair<int16_t, std::string>>> Kafka::transaction_coordinator(std::string id) {
  CO_TRY(auto client, co_await connect());
  protocol::FindCoordinatorRequest request;
  request.key = id;
  request.key_type = 1;
  CO_TRY(auto found, co_await client->call<protocol::FindCoordinatorResponse>(1, request));
  const ClusterView::Broker broker{found.node_id, found.host, static_cast<uint16_t>(found.port),
                                   ""};
  co_return std::pair(found.error_code, broker.address());
}

Task<Result<int16_t>> Kafka::init_transactions(std::string address, std::string id) {
  CO_TRY(auto client, co_await client::Client::connect(shard_, address, kPatience, security_));
  protocol::InitProducerIdRequest request;
  request.transactional_id = id;
  request.transaction_timeout_ms = kTransactionMs;
  CO_TRY(auto begun, co_await client->call<protocol::InitProducerIdResponse>(1, request));
  co_return begun.error_code;
}

Task<Result<void>> Kafka::begin_transactions(std::string transactional_id) {
  {
    CO_TRY(auto client, co_await connect());
    protocol::ApiVersionsRequest request;
    request.client_software_name = "paceline-drill";
    request.client_software_version = "1";
    CO_TRY(auto served, co_await client->call<protocol::ApiVersionsResponse>(3, request));
    for (const int16_t key : {kAddPartitionsToTxn, kEndTxn})
      if (std::ranges::find(served.api_keys, key, &protocol::ApiVersionsResponse::Api::api_key) ==
          served.api_keys.end())
        co_return fail(Code::unsupported, "the cluster serves no transactions");
  }
  const env::Instant deadline = shard_.now() + kCoordinatorWithin;
  for (;;) {
    CO_TRY(const auto found, co_await transaction_coordinator(transactional_id));
    int16_t code = found.first;
    if (code == 0) {
      CO_TRY(code, co_await init_transactions(found.second, transactional_id));
    }
    if (code == 0) co_return Result<void>{};
    const bool soon = code == kCoordinatorLoading || code == kCoordinatorNotAvailable ||
                      code == kNotCoordinator || code == kConcurrentTransactions;
    if (!soon || shard_.now() >= deadline)
      co_return fail(Code::unsupported,
                     fmt::format("the cluster refuses transactions: {}",
                                 record::kafka_error_name(static_cast<record::KafkaError>(code))));
    co_await env::sleep_for(shard_, kAgain);
  }
}

Task<Result<size_t>> Kafka::reassigning() {
  CO_TRY(auto client, co_await connect());
  protocol::ListPartitionReassignmentsRequest request;
  CO_TRY(auto response,
         co_await client->call<protocol::ListPartitionReassignmentsResponse>(0, request));
  if (response.error_code != 0)
    co_return refused(response.error_code, response.error_message, "the list of reassignments");
  size_t count = 0;
  for (const auto& topic : response.topics) count += topic.partitions.size();
  co_return count;
}

Task<Result<int64_t>> Kafka::log_bytes() {
  CO_TRY(const ClusterView view, co_await look());
  int64_t bytes = 0;
  for (const auto& broker : view.brokers) {
    CO_TRY(auto client,
           co_await client::Client::connect(shard_, broker.address(), kPatience, security_));
    protocol::DescribeLogDirsRequest request;
    request.topics.reset();
    CO_TRY(auto response, co_await client->call<protocol::DescribeLogDirsResponse>(2, request));
    for (const auto& folder : response.results)
      for (const auto& topic : folder.topics)
        for (const auto& partition : topic.partitions) bytes += partition.partition_size;
  }
  co_return bytes;
}

}  // namespace paceline::drill
