#include "protocol/gen/consumer_protocol.h"
#include "protocol/gen/heartbeat.h"
#include "protocol/gen/join_group.h"
#include "protocol/gen/leave_group.h"
#include "protocol/gen/offset_commit.h"
#include "protocol/gen/offset_fetch.h"
#include "protocol/gen/sync_group.h"
#include "record/kafka_error.h"
#include "sim/router.h"

namespace paceline::sim {

using namespace std::chrono_literals;
using record::KafkaError;

namespace {

// Reads the group's committed offsets of some keys into `offsets` and the history.
Task<bool> fetch_offsets(Clients& clients, Router& router, uint32_t group, std::vector<Key> keys,
                         std::map<Key, int64_t>& offsets) {
  protocol::OffsetFetchRequest request;
  const std::string name = group_name(group);
  auto& asked = request.groups.emplace_back();
  asked.group_id = name;
  auto& topic = asked.topics.emplace().emplace_back();
  topic.name = clients.topic;
  for (Key key : keys) topic.partition_indexes.push_back(static_cast<int32_t>(key));
  Link* link = co_await router.coordinator(group);
  if (!link) co_return false;
  const history::Time invoked = clients.now();
  auto answer = co_await link->current()->call<protocol::OffsetFetchResponse>(8, request);
  if (!answer) {
    link->drop();
    router.doubt_coordinator();
    co_return false;
  }
  const auto& got = answer->groups.at(0);
  if (got.error_code != 0) {
    router.doubt_coordinator();
    co_return false;
  }
  for (const auto& one : got.topics) {
    for (const auto& partition : one.partitions) {
      if (partition.error_code != 0) co_return false;
      const auto key = static_cast<Key>(partition.partition_index);
      offsets[key] = partition.committed_offset;
      clients.history.add(CommittedRead{group, key, partition.committed_offset, link->teller()},
                          invoked, clients.now());
    }
  }
  co_return true;
}

class Member {
 public:
  Member(Clients& clients, uint32_t group)
      : clients_(clients),
        router_(clients),
        group_(group),
        name_(group_name(group)),
        reader_(clients.next_client++) {}

  Task<void> run() {
    for (;;) {
      if (!co_await join() || !co_await sync()) {
        co_await env::sleep_for(clients_.shard, clients_.between(10ms, 200ms));
        continue;
      }
      std::map<Key, int64_t> positions;
      if (!co_await fetch_offsets(clients_, router_, group_, keys_, positions)) continue;
      while (co_await consume(positions) && co_await commit(positions) && co_await heartbeat()) {
        co_await env::sleep_for(clients_.shard, clients_.between(20ms, 400ms));
      }
      if (clients_.random.chance(0.2)) co_await leave();
    }
  }

 private:
  Task<bool> join() {
    protocol::JoinGroupRequest request;
    request.group_id = name_;
    request.session_timeout_ms = 6'000;
    request.rebalance_timeout_ms = 3'000;
    request.member_id = id_;
    request.protocol_type = "consumer";
    protocol::ConsumerSubscription subscription;
    subscription.topics = {clients_.topic};
    const std::string metadata = *subscription.encode_versioned(1);
    auto& strategy = request.protocols.emplace_back();
    strategy.name = "range";
    strategy.metadata = as_bytes(metadata);
    Link* link = co_await router_.coordinator(group_);
    if (!link) co_return false;
    auto answer = co_await link->current()->call<protocol::JoinGroupResponse>(7, request);
    if (!answer) {
      lose(*link);
      co_return false;
    }
    if (!answer->member_id.empty()) id_ = answer->member_id;
    if (!accepted(answer->error_code)) co_return false;
    generation_ = answer->generation_id;
    members_.clear();
    for (const auto& member : answer->members) members_.push_back(member.member_id);
    co_return true;
  }

  Task<bool> sync() {
    protocol::SyncGroupRequest request;
    request.group_id = name_;
    request.generation_id = generation_;
    request.member_id = id_;
    std::vector<std::string> shares;
    for (size_t i = 0; i < members_.size(); ++i) {
      protocol::ConsumerAssignment share;
      auto& topic = share.assigned_partitions.emplace_back();
      topic.topic = clients_.topic;
      for (size_t key = i; key < clients_.partition_count; key += members_.size())
        topic.partitions.push_back(static_cast<int32_t>(key));
      shares.push_back(*share.encode_versioned(1));
    }
    for (size_t i = 0; i < members_.size(); ++i) {
      auto& given = request.assignments.emplace_back();
      given.member_id = members_[i];
      given.assignment = as_bytes(shares[i]);
    }
    Link* link = co_await router_.coordinator(group_);
    if (!link) co_return false;
    auto answer = co_await link->current()->call<protocol::SyncGroupResponse>(3, request);
    if (!answer) lose(*link);
    if (!answer || !accepted(answer->error_code)) co_return false;
    keys_.clear();
    auto share = protocol::ConsumerAssignment::decode_versioned(as_bytes(answer->assignment));
    if (!share) co_return false;
    for (const auto& topic : share->assigned_partitions)
      for (int32_t partition : topic.partitions) keys_.push_back(static_cast<Key>(partition));
    co_return true;
  }

  Task<bool> consume(std::map<Key, int64_t>& positions) {
    for (Key key : keys_) {
      FetchPlan plan;
      plan.reader = reader_;
      plan.group = group_;
      plan.key = key;
      plan.from = std::max<int64_t>(0, positions[key]);
      plan.bytes_max = static_cast<int32_t>(1) << clients_.random.between(8, 16);
      plan.wait_ms = 20;
      auto answer = co_await fetch_once(clients_, router_, plan);
      if (answer) positions[key] = answer->next;
    }
    co_return true;
  }

  Task<bool> commit(std::map<Key, int64_t>& positions) {
    protocol::OffsetCommitRequest request;
    request.group_id = name_;
    request.generation_id_or_member_epoch = generation_;
    request.member_id = id_;
    auto& topic = request.topics.emplace_back();
    topic.name = clients_.topic;
    for (Key key : keys_) {
      if (positions[key] < 0) continue;
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = static_cast<int32_t>(key);
      partition.committed_offset = positions[key];
    }
    if (topic.partitions.empty()) co_return true;
    Link* link = co_await router_.coordinator(group_);
    if (!link) co_return false;
    const history::Time invoked = clients_.now();
    auto answer = co_await link->current()->call<protocol::OffsetCommitResponse>(7, request);
    if (!answer) lose(*link);
    int16_t first_error = 0;
    for (size_t i = 0; i < topic.partitions.size(); ++i) {
      const auto& asked = topic.partitions[i];
      Commit commit{group_, static_cast<Key>(asked.partition_index), asked.committed_offset,
                    Outcome::unknown, link->teller()};
      if (answer) {
        const int16_t error = answer->topics.at(0).partitions.at(i).error_code;
        commit.outcome = outcome_of(error);
        if (error != 0) first_error = error;
      }
      clients_.history.add(commit, invoked, clients_.now());
    }
    co_return answer&& accepted(first_error);
  }
  static Outcome outcome_of(int16_t code) {
    switch (static_cast<KafkaError>(code)) {
      case KafkaError::none:
        return Outcome::ok;
      case KafkaError::illegal_generation:
      case KafkaError::unknown_member_id:
      case KafkaError::rebalance_in_progress:
      case KafkaError::not_coordinator:
      case KafkaError::coordinator_load_in_progress:
        return Outcome::fail;
      default:
        return Outcome::unknown;
    }
  }

  Task<bool> heartbeat() {
    protocol::HeartbeatRequest request;
    request.group_id = name_;
    request.generation_id = generation_;
    request.member_id = id_;
    Link* link = co_await router_.coordinator(group_);
    if (!link) co_return true;  // the session lives on: the next commit will tell
    auto answer = co_await link->current()->call<protocol::HeartbeatResponse>(3, request);
    if (!answer) {
      lose(*link);
      co_return true;  // the session lives on: the next commit will tell
    }
    co_return accepted(answer->error_code);
  }

  Task<void> leave() {
    protocol::LeaveGroupRequest request;
    request.group_id = name_;
    request.members.emplace_back().member_id = id_;
    Link* link = co_await router_.coordinator(group_);
    if (!link) co_return;  // its session ends by itself
    auto answer = co_await link->current()->call<protocol::LeaveGroupResponse>(3, request);
    if (!answer) lose(*link);
    id_.clear();
    co_await env::sleep_for(clients_.shard, clients_.between(100ms, 2s));
  }

  void lose(Link& link) {
    link.drop();
    router_.doubt_coordinator();
  }
  bool accepted(int16_t code) {
    const auto error = static_cast<KafkaError>(code);
    if (error == KafkaError::not_coordinator || error == KafkaError::coordinator_not_available)
      router_.doubt_coordinator();
    if (error == KafkaError::unknown_member_id || error == KafkaError::illegal_generation)
      id_.clear();
    return error == KafkaError::none;
  }

  Clients& clients_;
  Router router_;
  const uint32_t group_;
  const std::string name_;
  const uint32_t reader_;
  std::string id_;
  int32_t generation_ = -1;
  std::vector<std::string> members_;  // if we lead
  std::vector<Key> keys_;
};

}  // namespace

Task<void> run_member(Clients& clients, uint32_t group) {
  Member member(clients, group);
  co_await member.run();
}

Task<void> read_committed_offsets(Clients& clients, uint32_t group) {
  Router router(clients);
  std::vector<Key> keys;
  for (Key key = 0; key < clients.partition_count; ++key) keys.push_back(key);
  std::map<Key, int64_t> offsets;
  while (!co_await fetch_offsets(clients, router, group, keys, offsets))
    co_await env::sleep_for(clients.shard, 50ms);
}

}  // namespace paceline::sim
