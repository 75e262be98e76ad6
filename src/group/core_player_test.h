#pragma once

#include <gtest/gtest.h>

#include "group/group_core.h"

namespace paceline::group {

// Plays events into one core and collects what it answers.
struct Player {
  Options options;
  Now now{1'000, 1'700'000'000'000};
  GroupCore core;
  RequestId last_id = 0;
  int uniques = 0;
  std::map<RequestId, JoinResponse> joined;
  std::map<RequestId, SyncResponse> synced;
  std::vector<Actions::Write> writes;

  explicit Player(Options with = {}, const GroupRecord* record = nullptr)
      : options(with), core("g", options, record, now) {}

  void take(Actions actions) {
    for (auto& answer : actions.joins)
      EXPECT_TRUE(joined.emplace(answer.id, answer.response).second);
    for (auto& answer : actions.syncs)
      EXPECT_TRUE(synced.emplace(answer.id, answer.response).second);
    for (auto& write : actions.writes) writes.push_back(std::move(write));
  }
  static JoinRequest request(std::string member = "", std::string metadata = "m") {
    JoinRequest out;
    out.group = "g";
    out.member = std::move(member);
    out.client_id = "c";
    out.session_timeout_ms = 10'000;
    out.rebalance_timeout_ms = 60'000;
    out.protocol_type = "consumer";
    out.protocols = {{"range", std::move(metadata)}};
    return out;
  }
  RequestId join(JoinRequest with) {
    take(core.join(++last_id, std::move(with), std::to_string(++uniques), now));
    return last_id;
  }
  RequestId join(std::string member = "") { return join(request(std::move(member))); }
  RequestId sync(const std::string& member,
                 std::vector<std::pair<std::string, std::string>> with = {},
                 std::optional<int32_t> generation = {}) {
    SyncRequest out;
    out.group = "g";
    out.generation = generation.value_or(core.generation());
    out.member = member;
    out.assignments = std::move(with);
    take(core.sync(++last_id, std::move(out), now));
    return last_id;
  }
  KafkaError heartbeat(const std::string& member, std::optional<int32_t> generation = {},
                       std::optional<std::string> instance = {}) {
    return core.heartbeat({"g", generation.value_or(core.generation()), member, instance}, now);
  }
  KafkaError leave(const std::string& member, std::optional<std::string> instance = {}) {
    std::vector<LeavingMember> leaving{{member, std::move(instance), {}, {}}};
    take(core.leave(leaving, now));
    return leaving[0].error;
  }
  KafkaError commit(const std::string& member, int32_t generation) {
    CommitRequest out;
    out.generation = generation;
    out.member = member;
    return core.admit_commit(out, now);
  }
  // Lets time pass, waking the core whenever it asked for it.
  void pass(int64_t ms) {
    const int64_t end = now.ms + ms;
    while (core.next_wake_ms() && *core.next_wake_ms() <= end) {
      const int64_t step = std::max<int64_t>(*core.next_wake_ms() - now.ms, 0);
      now.ms += step;
      now.wall_ms += step;
      take(core.wake(now));
    }
    now.wall_ms += end - now.ms;
    now.ms = end;
  }
  // Lets the time pass that it takes until this join is answered.
  void until(RequestId id) {
    while (waits(id) && core.next_wake_ms())
      pass(std::max<int64_t>(*core.next_wake_ms() - now.ms, 0));
  }
  void write_all(KafkaError error = KafkaError::none) {
    auto pending = std::exchange(writes, {});
    for (auto& write : pending) take(core.persisted(write.ticket, error, now));
  }
  const JoinResponse& answer(RequestId id) {
    EXPECT_TRUE(joined.contains(id)) << "join " << id << " waits";
    return joined[id];
  }
  bool waits(RequestId id) const { return !joined.contains(id) && !synced.contains(id); }

  // A stable group of `count` dynamic members; their ids, the leader first.
  std::vector<std::string> stable(size_t count) {
    std::vector<RequestId> ids;
    for (size_t i = 0; i < count; ++i) ids.push_back(join());
    until(ids[0]);
    std::vector<std::string> members;
    for (RequestId id : ids) members.push_back(answer(id).member);
    settle();
    std::ranges::partition(members, [&](const std::string& id) { return core.leader() == id; });
    return members;
  }
  // Everybody syncs, the leader with an assignment "to-<id>" each.
  void settle() {
    std::vector<std::pair<std::string, std::string>> assignments;
    std::vector<std::string> members;
    for (const auto& [id, member] : core.members()) {
      assignments.emplace_back(id, "to-" + id);
      members.push_back(id);
    }
    for (const std::string& id : members)
      sync(id, core.leader() == id ? assignments : decltype(assignments){});
    write_all();
    ASSERT_EQ(core.state(), State::stable);
  }
};

}  // namespace paceline::group
