#include "broker/api.h"
#include "broker/group_lookup.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_delete.h"
#include "protocol/gen/offset_fetch.h"

// Offsets that groups commit.

namespace paceline::broker {
namespace {

using group::CommittedOffset;
using group::TopicPartition;
using Committed = std::vector<std::pair<TopicPartition, CommittedOffset>>;
using Wanted = std::optional<std::vector<TopicPartition>>;

struct Fetched {
  KafkaError error = KafkaError::none;
  Committed offsets;  // grouped by topic
};

Task<Fetched> fetch_group(Request& request, std::string group, Wanted wanted) {
  auto step = [&group, &wanted](group::Coordinator& coordinator) -> Task<Fetched> {
    Fetched fetched;
    fetched.offsets = coordinator.fetch_offsets(group, wanted);
    co_return fetched;
  };
  co_return co_await with_coordinator(request, group, step,
                                      [](KafkaError error) { return Fetched{error, {}}; });
}

// Answers in Kafka's nested form, from a list in which a topic's partitions stand together.
template <class Topics>
void nest(Committed& offsets, Topics& topics) {
  for (auto& [at, committed] : offsets) {
    if (topics.empty() || topics.back().name != at.topic) topics.emplace_back().name = at.topic;
    auto& one = topics.back().partitions.emplace_back();
    one.partition_index = at.partition;
    one.committed_offset = committed.offset.value;
    one.committed_leader_epoch = committed.leader_epoch.value;
    // Nothing committed has empty metadata in Kafka's answers; what was committed keeps its null.
    one.metadata =
        committed.offset.value < 0 ? std::optional<std::string>("") : std::move(committed.metadata);
  }
}

template <class Topics>
Wanted flatten(const std::optional<Topics>& topics) {
  if (!topics) return std::nullopt;
  std::vector<TopicPartition> wanted;
  for (const auto& topic : *topics) {
    for (int32_t index : topic.partition_indexes)
      wanted.push_back({std::string(topic.name), index});
  }
  return wanted;
}

}  // namespace

Task<Reply> handle_offset_commit(Request& request) {
  PACELINE_DECODE(OffsetCommitRequest, message);
  group::CommitRequest commit;
  commit.group = std::string(message.group_id);
  commit.generation = message.generation_id_or_member_epoch;
  commit.member = std::string(message.member_id);
  commit.instance = own(message.group_instance_id);
  const auto image = request.node.image();
  const int64_t now = request.shard.wall_ms();
  std::vector<KafkaError> errors;
  std::vector<size_t> asked;  // where in `errors` the answer to each commit goes
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found = image->topic(topic.name);
    for (const auto& partition : topic.partitions) {
      const bool known = found && partition.partition_index >= 0 &&
                         static_cast<size_t>(partition.partition_index) < found->partitions.size();
      errors.push_back(known ? KafkaError::none : KafkaError::unknown_topic_or_partition);
      if (!known) continue;
      asked.push_back(errors.size() - 1);
      group::OffsetCommit one;
      one.at = {std::string(topic.name), partition.partition_index};
      one.offset = Offset(partition.committed_offset);
      one.leader_epoch = Epoch(partition.committed_leader_epoch);
      one.metadata = own(partition.committed_metadata);
      if (message.retention_time_ms >= 0) one.expire_at_ms = now + message.retention_time_ms;
      commit.offsets.push_back(std::move(one));
    }
  }
  const std::string group = commit.group;
  const size_t count = commit.offsets.size();
  auto step = [&commit](group::Coordinator& coordinator) {
    return coordinator.commit(std::move(commit));
  };
  std::vector<KafkaError> told = co_await with_coordinator(
      request, group, step,
      [count](KafkaError error) { return std::vector<KafkaError>(count, error); });
  for (size_t at = 0; at < asked.size() && at < told.size(); ++at) errors[asked[at]] = told[at];
  for (KafkaError error : errors) request.complain(error, message.group_id);

  protocol::OffsetCommitResponse response;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::string(topic.name);
    for (const auto& partition : topic.partitions)
      answer.partitions.push_back({partition.partition_index, wire(errors[at++])});
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_offset_fetch(Request& request) {
  PACELINE_DECODE(OffsetFetchRequest, message);
  protocol::OffsetFetchResponse response;
  if (request.version < 8) {
    Wanted wanted = flatten(message.topics);
    Fetched fetched = co_await fetch_group(request, std::string(message.group_id), wanted);
    response.error_code = wire(fetched.error);
    if (fetched.error == KafkaError::none) {
      nest(fetched.offsets, response.topics);
    } else if (wanted) {
      // Version 1 has no place for the error but the partitions.
      Committed none;
      for (const TopicPartition& at : *wanted) none.emplace_back(at, CommittedOffset{});
      nest(none, response.topics);
      for (auto& topic : response.topics) {
        for (auto& partition : topic.partitions) partition.error_code = wire(fetched.error);
      }
    }
    co_return reply_with(request, response);
  }
  for (const auto& asked : message.groups) {
    Fetched fetched =
        co_await fetch_group(request, std::string(asked.group_id), flatten(asked.topics));
    auto& answer = response.groups.emplace_back();
    answer.group_id = std::string(asked.group_id);
    answer.error_code = wire(fetched.error);
    nest(fetched.offsets, answer.topics);
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_offset_delete(Request& request) {
  PACELINE_DECODE(OffsetDeleteRequest, message);
  const auto image = request.node.image();
  std::vector<TopicPartition> partitions;
  std::vector<KafkaError> errors;
  std::vector<size_t> asked;
  for (const auto& topic : message.topics) {
    for (const auto& partition : topic.partitions) {
      const cluster::TopicImage* found = image->topic(topic.name);
      const bool known = found && partition.partition_index >= 0 &&
                         static_cast<size_t>(partition.partition_index) < found->partitions.size();
      errors.push_back(known ? KafkaError::none : KafkaError::unknown_topic_or_partition);
      if (!known) continue;
      asked.push_back(errors.size() - 1);
      partitions.push_back({std::string(topic.name), partition.partition_index});
    }
  }
  using Answer = std::pair<KafkaError, std::vector<KafkaError>>;
  const std::string group(message.group_id);
  auto step = [&group, &partitions](group::Coordinator& coordinator) {
    return coordinator.delete_offsets(group, partitions);
  };
  Answer told = co_await with_coordinator(request, group, step,
                                          [](KafkaError error) { return Answer{error, {}}; });
  for (size_t at = 0; at < asked.size() && at < told.second.size(); ++at)
    errors[asked[at]] = told.second[at];

  protocol::OffsetDeleteResponse response;
  response.error_code = wire(told.first);
  if (told.first == KafkaError::none) {
    size_t at = 0;
    for (const auto& topic : message.topics) {
      auto& answer = response.topics.emplace_back();
      answer.name = std::string(topic.name);
      for (const auto& partition : topic.partitions)
        answer.partitions.push_back({partition.partition_index, wire(errors[at++])});
    }
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
