#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "env/shard.h"
#include "partition/partition.h"
#include "record/kafka_error.h"

// The coordinator of the consumer groups of one partition of __consumer_offsets: the classic group
// protocol, offsets, administration. Its state is the records of that partition (in Kafka's own
// schemas) and nothing else; a decision is acknowledged when its record is durable. Owned by the
// partition's shard.

namespace paceline::group {

using record::KafkaError;

struct Options {
  int32_t session_timeout_min_ms = 6'000;
  int32_t session_timeout_max_ms = 1'800'000;
  int32_t initial_rebalance_delay_ms = 3'000;
  size_t group_size_max = 5'000;
  size_t member_metadata_bytes_max = 1u << 20;
  size_t offset_metadata_bytes_max = 4'096;
  int64_t offsets_retention_ms = 604'800'000;
  size_t group_metadata_bytes_max = 64u << 20;  // of all members; and of the assignments of a sync
  int64_t offsets_check_interval_ms = 600'000;  // between two looks for expired offsets
};

struct JoinProtocol {
  std::string name;
  std::string metadata;
};
struct JoinRequest {
  std::string group;
  std::string member;                   // "" = first join
  std::optional<std::string> instance;  // static member
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::string protocol_type;
  std::vector<JoinProtocol> protocols;
  bool require_known_member = false;      // v4+: the first join gets MEMBER_ID_REQUIRED
  bool supports_skip_assignment = false;  // v9+
  std::string reason;
};
struct JoinedMember {
  std::string member;
  std::optional<std::string> instance;
  std::string metadata;
};
struct JoinResponse {
  KafkaError error{};
  int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::string leader;
  bool skip_assignment = false;
  std::string member;
  std::vector<JoinedMember> members;  // for the leader only
};
struct SyncRequest {
  std::string group;
  int32_t generation = -1;
  std::string member;
  std::optional<std::string> instance;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::vector<std::pair<std::string, std::string>> assignments;  // member -> bytes
};
struct SyncResponse {
  KafkaError error{};
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::string assignment;
};
struct HeartbeatRequest {
  std::string group;
  int32_t generation = -1;
  std::string member;
  std::optional<std::string> instance;
};
struct LeavingMember {
  std::string member;
  std::optional<std::string> instance;
  std::optional<std::string> reason;
  KafkaError error{};  // filled in the answer
};
struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};
struct OffsetCommit {
  TopicPartition at;
  Offset offset;
  Epoch leader_epoch{-1};
  std::optional<std::string> metadata;
  int64_t expire_at_ms = -1;  // -1 = by the group's retention
};
struct CommitRequest {
  std::string group;
  int32_t generation = -1;  // -1 with an empty member: a simple group
  std::string member;
  std::optional<std::string> instance;
  std::vector<OffsetCommit> offsets;
};
struct CommittedOffset {
  Offset offset{-1};
  Epoch leader_epoch{-1};
  std::optional<std::string> metadata;  // null and "" apart
  int64_t commit_time_ms = 0;
};
struct DescribedMember {
  std::string member;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  std::string metadata;
  std::string assignment;
};
struct DescribedGroup {
  std::string group;
  std::string state;  // Empty, PreparingRebalance, CompletingRebalance, Stable, Dead
  std::string protocol_type;
  std::string protocol;
  std::vector<DescribedMember> members;
};

// Construct it first, give it to Partition::Options.attached, then bind() the opened partition.
class Coordinator : public partition::Attached {
 public:
  virtual ~Coordinator() = default;
  static std::unique_ptr<Coordinator> create(env::Shard& shard, Options options);
  virtual void bind(partition::Partition& partition) = 0;
  virtual void set_options(Options options) = 0;

  virtual Task<JoinResponse> join(JoinRequest request) = 0;
  virtual Task<SyncResponse> sync(SyncRequest request) = 0;
  virtual Task<KafkaError> heartbeat(HeartbeatRequest request) = 0;
  virtual Task<KafkaError> leave(std::string group, std::vector<LeavingMember>& members) = 0;
  // One error a partition, in order.
  virtual Task<std::vector<KafkaError>> commit(CommitRequest request) = 0;
  // nothing = all offsets of the group. An unknown group or partition is offset -1, no error.
  virtual std::vector<std::pair<TopicPartition, CommittedOffset>> fetch_offsets(
      const std::string& group,
      const std::optional<std::vector<TopicPartition>>& partitions) const = 0;
  virtual Task<std::pair<KafkaError, std::vector<KafkaError>>> delete_offsets(
      std::string group, std::vector<TopicPartition> partitions) = 0;
  virtual Task<KafkaError> delete_group(std::string group) = 0;
  virtual std::optional<DescribedGroup> describe(const std::string& group) const = 0;
  struct Listed {
    std::string group;
    std::string protocol_type;
    std::string state;
  };
  virtual std::vector<Listed> list() const = 0;
  // Offsets of partitions of a deleted topic go.
  virtual Task<void> forget_topic(std::string topic) = 0;
  // Answers everybody who waits with NOT_COORDINATOR, ends all timers and background work.
  virtual Task<void> close() = 0;
};

}  // namespace paceline::group
