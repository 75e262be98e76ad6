#include "group/group_core.h"

#include <algorithm>

#include "group/subscription.h"

namespace paceline::group {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// A new member cannot heartbeat while its first join waits, and a lost client is not noticed then.
constexpr int64_t kNewMemberJoinMsMax = 300'000;
constexpr std::string_view kConsumerProtocol = "consumer";

}  // namespace

std::string_view state_name(State state) {
  switch (state) {
    case State::empty:
      return "Empty";
    case State::preparing_rebalance:
      return "PreparingRebalance";
    case State::completing_rebalance:
      return "CompletingRebalance";
    case State::stable:
      return "Stable";
    case State::dead:
      return "Dead";
  }
  return "Dead";
}

GroupCore::GroupCore(std::string name, const Options& options, const GroupRecord* record, Now now)
    : name_(std::move(name)), options_(options), state_since_ms_(now.wall_ms) {
  if (!record) return;
  generation_ = record->generation;
  protocol_type_ = record->protocol_type;
  state_since_ms_ = record->state_since_ms;
  if (record->members.empty()) return;
  protocol_ = record->protocol.value_or("");
  state_ = State::stable;
  for (const MemberRecord& from : record->members) {
    Member member;
    member.id = from.member;
    member.instance = from.instance;
    member.client_id = from.client_id;
    member.client_host = from.client_host;
    member.session_timeout_ms = from.session_timeout_ms;
    member.rebalance_timeout_ms = from.rebalance_timeout_ms;
    member.protocols.push_back({*protocol_, from.subscription});
    member.assignment = from.assignment;
    auto [at, added] = members_.emplace(from.member, std::move(member));
    if (!added) continue;
    if (from.instance) static_[*from.instance] = from.member;
    count_protocols(at->second, +1);
    watch(at->second, now);
  }
  leader_ = record->leader;
  if (!leader_ || !members_.contains(*leader_)) leader_ = members_.begin()->first;
}

KafkaError GroupCore::heartbeat(const HeartbeatRequest& request, Now now) {
  if (state_ == State::dead) return KafkaError::coordinator_not_available;
  const KafkaError error = member_error(request.member, request.instance);
  if (error != KafkaError::none) return error;
  if (request.generation != generation_) return KafkaError::illegal_generation;
  watch(members_.at(request.member), now);
  return state_ == State::preparing_rebalance ? KafkaError::rebalance_in_progress
                                              : KafkaError::none;
}

Actions GroupCore::leave(std::vector<LeavingMember>& members, Now now) {
  Actions out;
  bool any = false;
  bool member_gone = false;
  for (LeavingMember& leaving : members) {
    std::string id = leaving.member;
    if (state_ == State::dead) {
      leaving.error = KafkaError::coordinator_not_available;
      continue;
    }
    if (id.empty()) {  // an administrator removes a static member by its instance
      auto owner = leaving.instance ? static_.find(*leaving.instance) : static_.end();
      if (owner != static_.end()) id = owner->second;
      leaving.error = id.empty() ? KafkaError::unknown_member_id : KafkaError::none;
    } else {
      leaving.error = pending_.contains(id) ? KafkaError::none : member_error(id, leaving.instance);
    }
    if (leaving.error != KafkaError::none) continue;
    any = true;
    member_gone = remove_member(id, out) || member_gone;
  }
  if (any) after_removal(member_gone, now, out);
  return out;
}

KafkaError GroupCore::admit_commit(const CommitRequest& request, Now now) {
  if (state_ == State::dead) return KafkaError::coordinator_not_available;
  if (request.generation < 0 && state_ == State::empty) return KafkaError::none;
  if (request.generation < 0 && request.member.empty() && !request.instance)
    return KafkaError::unknown_member_id;
  const KafkaError error = member_error(request.member, request.instance);
  if (error != KafkaError::none) return error;
  if (request.generation != generation_) return KafkaError::illegal_generation;
  if (state_ == State::completing_rebalance) return KafkaError::rebalance_in_progress;
  watch(members_.at(request.member), now);
  return KafkaError::none;
}

KafkaError GroupCore::admit_offset_delete() const {
  if (state_ == State::dead) return KafkaError::group_id_not_found;
  return state_ == State::empty || protocol_type_ == kConsumerProtocol
             ? KafkaError::none
             : KafkaError::non_empty_group;
}

KafkaError GroupCore::begin_delete() {
  if (state_ == State::dead) return KafkaError::group_id_not_found;
  if (state_ != State::empty) return KafkaError::non_empty_group;
  state_ = State::dead;
  for (const auto& [id, deadline] : pending_) deadlines_.erase({deadline, id});
  pending_.clear();
  return KafkaError::none;
}

void GroupCore::delete_failed() {
  CHECK(state_ == State::dead);
  state_ = State::empty;
}

Actions GroupCore::wake(Now now) {
  Actions out;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.ms) {
    const std::string id = deadlines_.begin()->second;
    expire(id, now, out);
  }
  if (join_deadline_ms_ && *join_deadline_ms_ <= now.ms) on_join_deadline(now, out);
  if (sync_deadline_ms_ && *sync_deadline_ms_ <= now.ms) on_sync_deadline(now, out);
  return out;
}

std::optional<int64_t> GroupCore::next_wake_ms() const {
  int64_t next = deadlines_.empty() ? kNever : deadlines_.begin()->first;
  if (join_deadline_ms_) next = std::min(next, *join_deadline_ms_);
  if (sync_deadline_ms_) next = std::min(next, *sync_deadline_ms_);
  if (next == kNever) return std::nullopt;
  return next;
}

void GroupCore::expire(const std::string& id, Now now, Actions& out) {
  after_removal(remove_member(id, out), now, out);
}

void GroupCore::after_removal(bool member_gone, Now now, Actions& out) {
  if (state_ == State::preparing_rebalance) return complete_join_if_all(now, out);
  if (state_ != State::stable && state_ != State::completing_rebalance) return;
  // An id handed out that goes changes nothing for those who are in.
  if (member_gone) prepare_rebalance(now, out);
}

bool GroupCore::remove_member(const std::string& id, Actions& out) {
  auto pending = pending_.find(id);
  if (pending != pending_.end()) {
    deadlines_.erase({pending->second, id});
    pending_.erase(pending);
  }
  auto found = members_.find(id);
  if (found == members_.end()) return false;
  Member& member = found->second;
  JoinResponse unknown;
  unknown.error = KafkaError::unknown_member_id;
  answer_join(member, std::move(unknown), out);
  SyncResponse gone;
  gone.error = KafkaError::unknown_member_id;
  answer_sync(member, std::move(gone), out);
  unwatch(member);
  count_protocols(member, -1);
  if (member.instance) static_.erase(*member.instance);
  pending_sync_.erase(id);
  const bool led = leader_ == id;
  members_.erase(found);
  if (led) {
    leader_.reset();
    if (!members_.empty()) leader_ = members_.begin()->first;
  }
  return true;
}

void GroupCore::enter(State state, Now now) {
  state_ = state;
  state_since_ms_ = now.wall_ms;
}

// Whoever waits for an answer of ours is alive as far as we know; everybody else has to be heard
// of.
void GroupCore::watch(Member& member, Now now) {
  unwatch(member);
  if (member.sync || (member.join && !member.is_new)) return;
  member.deadline_ms = now.ms + (member.join ? kNewMemberJoinMsMax : member.session_timeout_ms);
  deadlines_.emplace(member.deadline_ms, member.id);
}

void GroupCore::unwatch(Member& member) {
  deadlines_.erase({member.deadline_ms, member.id});
  member.deadline_ms = kNever;
}

void GroupCore::answer_join(Member& member, JoinResponse response, Actions& out) {
  if (!member.join) return;
  out.joins.push_back({*member.join, std::move(response)});
  member.join.reset();
  --waiting_joins_;
}

void GroupCore::answer_sync(Member& member, SyncResponse response, Actions& out) {
  if (!member.sync) return;
  out.syncs.push_back({*member.sync, std::move(response)});
  member.sync.reset();
}

SyncResponse GroupCore::assigned(const Member& member) const {
  SyncResponse response;
  response.protocol_type = protocol_type_;
  response.protocol = protocol_;
  response.assignment = member.assignment;
  return response;
}

int32_t GroupCore::rebalance_timeout_ms() const {
  int32_t longest = 0;
  for (const auto& [id, member] : members_)
    longest = std::max(longest, member.rebalance_timeout_ms);
  return longest;
}

GroupRecord GroupCore::record(const std::map<std::string, std::string>* assignments) const {
  GroupRecord out{protocol_type_, generation_, protocol_, leader_, state_since_ms_, {}};
  for (const auto& [id, member] : members_) {
    std::string assignment = member.assignment;
    if (assignments) {
      auto found = assignments->find(id);
      assignment = found == assignments->end() ? std::string() : found->second;
    }
    out.members.push_back({id, member.instance, member.client_id, member.client_host,
                           member.rebalance_timeout_ms, member.session_timeout_ms,
                           metadata_of(member), std::move(assignment)});
  }
  return out;
}

uint64_t GroupCore::write(PendingWrite pending, GroupRecord decision, Actions& out) {
  const uint64_t ticket = ++last_ticket_;
  writes_.emplace(ticket, std::move(pending));
  out.writes.push_back({ticket, std::move(decision)});
  return ticket;
}

const std::string& GroupCore::metadata_of(const Member& member) const {
  static const std::string kNone;
  for (const JoinProtocol& protocol : member.protocols)
    if (protocol.name == protocol_) return protocol.metadata;
  return kNone;
}

DescribedGroup GroupCore::describe() const {
  DescribedGroup out{name_, std::string(state_name(state_)), protocol_type_, "", {}};
  const bool stable = state_ == State::stable;
  if (stable) out.protocol = protocol_.value_or("");
  for (const auto& [id, member] : members_)
    out.members.push_back({id, member.instance, member.client_id, member.client_host,
                           stable ? metadata_of(member) : "", stable ? member.assignment : ""});
  return out;
}

std::optional<std::set<std::string>> GroupCore::subscribed_topics() const {
  if (protocol_type_ != kConsumerProtocol) return std::nullopt;
  std::set<std::string> topics;
  if (!members_.empty() && !protocol_) return std::nullopt;
  for (const auto& [id, member] : members_) {
    auto parsed = parse_subscribed_topics(metadata_of(member));
    if (!parsed) return std::nullopt;
    topics.merge(*parsed);
  }
  return topics;
}

bool GroupCore::subscribed(const std::string& topic) const {
  auto topics = subscribed_topics();
  return topics ? topics->contains(topic) : protocol_type_ == kConsumerProtocol;
}

bool GroupCore::expirable(const TopicPartition& at, const OffsetValue& value,
                          const std::optional<std::set<std::string>>& topics,
                          int64_t wall_ms) const {
  int64_t since = value.commit_time_ms;
  if (!protocol_type_.empty() && state_ == State::empty) {
    if (state_since_ms_ >= 0) since = state_since_ms_;
  } else if (state_ == State::stable && topics) {
    if (topics->contains(at.topic)) return false;
  } else if (state_ != State::empty) {
    return false;
  }
  if (value.expire_at_ms >= 0) return wall_ms >= value.expire_at_ms;
  return wall_ms - since >= options_.offsets_retention_ms;
}

}  // namespace paceline::group
