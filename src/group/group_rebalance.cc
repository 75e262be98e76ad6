#include <algorithm>

#include "group/group_core.h"

namespace paceline::group {

void GroupCore::rebalance_or_complete(Now now, Actions& out) {
  if (state_ == State::preparing_rebalance)
    complete_join_if_all(now, out);
  else
    prepare_rebalance(now, out);
}

void GroupCore::prepare_rebalance(Now now, Actions& out) {
  if (state_ == State::completing_rebalance)
    fail_syncs(KafkaError::rebalance_in_progress, now, out);
  sync_deadline_ms_.reset();
  pending_sync_.clear();
  initial_ = state_ == State::empty;
  enter(State::preparing_rebalance, now);
  if (!initial_) {
    join_deadline_ms_ = now.ms + rebalance_timeout_ms();
    return complete_join_if_all(now, out);
  }
  // The group is new: its other members are probably starting as well, so it waits for them.
  new_member_added_ = false;
  initial_delay_ms_ = options_.initial_rebalance_delay_ms;
  initial_remaining_ms_ = std::max<int64_t>(rebalance_timeout_ms() - initial_delay_ms_, 0);
  join_deadline_ms_ = now.ms + initial_delay_ms_;
}

void GroupCore::complete_join_if_all(Now now, Actions& out) {
  if (!initial_ && waiting_joins_ == members_.size() && pending_.empty()) complete_join(now, out);
}

void GroupCore::on_join_deadline(Now now, Actions& out) {
  if (!initial_ || !new_member_added_ || initial_remaining_ms_ == 0) return complete_join(now, out);
  new_member_added_ = false;
  const int64_t delay =
      std::min<int64_t>(options_.initial_rebalance_delay_ms, initial_remaining_ms_);
  initial_remaining_ms_ = std::max<int64_t>(initial_remaining_ms_ - initial_delay_ms_, 0);
  initial_delay_ms_ = delay;
  join_deadline_ms_ = now.ms + delay;
}

void GroupCore::complete_join(Now now, Actions& out) {
  join_deadline_ms_.reset();
  initial_ = false;
  std::vector<std::string> absent;  // a static member keeps its place until its session ends
  for (const auto& [id, member] : members_)
    if (!member.join && !member.instance) absent.push_back(id);
  for (const std::string& id : absent) remove_member(id, out);
  if (!members_.empty() && !elect_joined_leader()) {
    join_deadline_ms_ = now.ms + rebalance_timeout_ms();
    return;
  }
  generation_ = generation_ == std::numeric_limits<int32_t>::max() ? 1 : generation_ + 1;
  if (members_.empty()) {
    protocol_.reset();
    enter(State::empty, now);
    PendingWrite ended;
    ended.generation = generation_;
    write(std::move(ended), record(nullptr), out);
    return;
  }
  protocol_ = select_protocol();
  enter(State::completing_rebalance, now);
  for (auto& [id, member] : members_) {
    answer_join(member, current(member), out);
    member.is_new = false;
    watch(member, now);
    pending_sync_.insert(id);
  }
  sync_deadline_ms_ = now.ms + rebalance_timeout_ms();
}

bool GroupCore::elect_joined_leader() {
  if (leader_ && members_.at(*leader_).join) return true;
  for (const auto& [id, member] : members_) {
    if (!member.join) continue;
    leader_ = id;
    return true;
  }
  return false;
}

// Every member votes for the first of its protocols that all know; a draw goes to the one that
// stands first in the leader's list.
std::string GroupCore::select_protocol() const {
  std::map<std::string, size_t> votes;
  auto common = [&](const std::string& name) { return supporters_.at(name) == members_.size(); };
  for (const auto& [id, member] : members_)
    for (const JoinProtocol& protocol : member.protocols)
      if (common(protocol.name)) {
        ++votes[protocol.name];
        break;
      }
  CHECK(!votes.empty());  // a join is admitted only with a protocol in common
  size_t most = 0;
  std::string chosen;
  const auto leader = leader_ ? members_.find(*leader_) : members_.end();
  const Member& judge = leader != members_.end() ? leader->second : members_.begin()->second;
  for (const JoinProtocol& protocol : judge.protocols) {
    auto found = votes.find(protocol.name);
    if (found == votes.end() || found->second <= most) continue;
    most = found->second;
    chosen = protocol.name;
  }
  return chosen;
}

Actions GroupCore::sync(RequestId id, SyncRequest request, Now now) {
  Actions out;
  auto refuse = [&](KafkaError error) {
    SyncResponse response;
    response.error = error;
    out.syncs.push_back({id, std::move(response)});
    return std::move(out);
  };
  if (state_ == State::dead) return refuse(KafkaError::coordinator_not_available);
  const KafkaError error = member_error(request.member, request.instance);
  if (error != KafkaError::none) return refuse(error);
  if (request.generation != generation_) return refuse(KafkaError::illegal_generation);
  if ((request.protocol_type && *request.protocol_type != protocol_type_) ||
      (request.protocol && protocol_ && *request.protocol != *protocol_))
    return refuse(KafkaError::inconsistent_group_protocol);
  if (state_ == State::preparing_rebalance) return refuse(KafkaError::rebalance_in_progress);

  Member& member = members_.at(request.member);
  std::map<std::string, std::string> assignments;
  const bool decides = state_ == State::completing_rebalance && leader_ == member.id;
  if (decides) {
    size_t bytes = 0;
    for (auto& [to, assignment] : request.assignments) {
      if (!members_.contains(to)) continue;
      bytes += assignment.size();
      assignments[to] = std::move(assignment);
    }
    if (bytes > options_.group_metadata_bytes_max) return refuse(KafkaError::unknown_server_error);
  }
  pending_sync_.erase(member.id);
  if (pending_sync_.empty()) sync_deadline_ms_.reset();
  if (state_ == State::stable) {
    watch(member, now);
    out.syncs.push_back({id, assigned(member)});
    return out;
  }
  SyncResponse superseded;
  superseded.error = KafkaError::rebalance_in_progress;
  answer_sync(member, std::move(superseded), out);
  member.sync = id;
  watch(member, now);
  const bool writing = std::ranges::any_of(writes_, [&](const auto& entry) {
    return entry.second.assignment && entry.second.generation == generation_;
  });
  if (!decides || writing) return out;
  GroupRecord decision = record(&assignments);
  PendingWrite pending;
  pending.assignment = true;
  pending.generation = generation_;
  pending.assignments = std::move(assignments);
  write(std::move(pending), std::move(decision), out);
  return out;
}

void GroupCore::assign(std::map<std::string, std::string> assignments, Now now, Actions& out) {
  for (auto& [id, member] : members_) member.assignment = std::move(assignments[id]);
  enter(State::stable, now);
  for (auto& [id, member] : members_) {
    if (!member.sync) continue;
    answer_sync(member, assigned(member), out);
    watch(member, now);
  }
}

void GroupCore::fail_syncs(KafkaError error, Now now, Actions& out) {
  SyncResponse response;
  response.error = error;
  for (auto& [id, member] : members_) {
    member.assignment.clear();
    if (!member.sync) continue;
    answer_sync(member, response, out);
    watch(member, now);
  }
}

Actions GroupCore::persisted(uint64_t ticket, KafkaError error, Now now) {
  Actions out;
  auto node = writes_.extract(ticket);
  CHECK(!node.empty());
  PendingWrite& pending = node.mapped();
  // A later rebalance has overtaken what was written: its members are answered by that one.
  if (pending.generation != generation_) return out;
  if (pending.assignment) {
    if (state_ != State::completing_rebalance) return out;
    if (error == KafkaError::none) {
      assign(std::move(pending.assignments), now, out);
    } else {
      fail_syncs(error, now, out);
      prepare_rebalance(now, out);
    }
    return out;
  }
  auto found = members_.find(pending.member);
  if (state_ != State::stable || found == members_.end() || found->second.join != pending.join)
    return out;
  Member& member = found->second;
  JoinResponse response = current(member);
  if (error != KafkaError::none) {
    response = JoinResponse{};
    response.error = error;
  } else if (pending.skip_assignment) {
    response.skip_assignment = leader_ == member.id;
  } else {
    // Without that flag it must not take itself for the leader: it would assign to an old world.
    response.leader = pending.leader_before;
    response.members.clear();
  }
  answer_join(member, std::move(response), out);
  member.is_new = false;
  watch(member, now);
  return out;
}

void GroupCore::on_sync_deadline(Now now, Actions& out) {
  sync_deadline_ms_.reset();
  const std::set<std::string> late = std::exchange(pending_sync_, {});
  for (const std::string& id : late) remove_member(id, out);
  if (!late.empty()) prepare_rebalance(now, out);
}

}  // namespace paceline::group
