#include <algorithm>

#include "group/group_core.h"

namespace paceline::group {
namespace {

constexpr size_t kInstanceBytesMax = 249;  // Kafka's legal names
constexpr size_t kIdPrefixBytesMax = 249;
// What a protocol costs us beside its bytes, so that a million empty ones are not free.
constexpr size_t kProtocolBytes = 64;

size_t bytes_of(const std::vector<JoinProtocol>& protocols) {
  size_t bytes = 0;
  for (const JoinProtocol& protocol : protocols)
    bytes += protocol.name.size() + protocol.metadata.size() + kProtocolBytes;
  return bytes;
}

// The member id shows up in logs and tools: no control characters, no endless names.
std::string id_prefix(const JoinRequest& request) {
  std::string prefix = request.instance.value_or(request.client_id).substr(0, kIdPrefixBytesMax);
  for (char& c : prefix)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  return prefix;
}

bool same_protocols(const Member& member, const std::vector<JoinProtocol>& protocols) {
  return std::ranges::equal(member.protocols, protocols,
                            [](const JoinProtocol& a, const JoinProtocol& b) {
                              return a.name == b.name && a.metadata == b.metadata;
                            });
}

void drop_repeated(std::vector<JoinProtocol>& protocols) {
  std::set<std::string> seen;
  std::erase_if(protocols, [&](const JoinProtocol& p) { return !seen.insert(p.name).second; });
}

JoinResponse refusal(KafkaError error, std::string member) {
  JoinResponse response;
  response.error = error;
  response.member = std::move(member);
  return response;
}

}  // namespace

Actions GroupCore::join(RequestId id, JoinRequest request, const std::string& unique, Now now) {
  Actions out;
  const KafkaError refused = admit_join(request);
  if (refused == KafkaError::group_max_size_reached) {
    if (!request.member.empty()) after_removal(remove_member(request.member, out), now, out);
    out.joins.push_back({id, refusal(refused, "")});
    return out;
  }
  if (refused != KafkaError::none) {
    out.joins.push_back({id, refusal(refused, request.member)});
    return out;
  }
  drop_repeated(request.protocols);
  if (request.rebalance_timeout_ms <= 0) request.rebalance_timeout_ms = request.session_timeout_ms;
  if (request.member.empty())
    join_new(id, std::move(request), unique, now, out);
  else
    join_known(id, std::move(request), now, out);
  return out;
}

KafkaError GroupCore::admit_join(const JoinRequest& request) const {
  if (request.session_timeout_ms < options_.session_timeout_min_ms ||
      request.session_timeout_ms > options_.session_timeout_max_ms)
    return KafkaError::invalid_session_timeout;
  if (state_ == State::dead) return KafkaError::coordinator_not_available;
  if (request.instance && request.instance->size() > kInstanceBytesMax)
    return KafkaError::invalid_request;
  if (request.client_id.size() > kStringBytesMax || request.client_host.size() > kStringBytesMax)
    return KafkaError::invalid_request;
  if (!has_room(request)) return KafkaError::group_max_size_reached;
  if (!supports(request)) return KafkaError::inconsistent_group_protocol;
  return KafkaError::none;
}

bool GroupCore::has_room(const JoinRequest& request) const {
  auto known = members_.find(request.member);
  const bool member = known != members_.end();
  const size_t bytes = bytes_of(request.protocols);
  if (bytes > options_.member_metadata_bytes_max) return false;
  const size_t before = member ? bytes_of(known->second.protocols) : 0;
  if (metadata_bytes_ - before + bytes > options_.group_metadata_bytes_max) return false;
  if (request.member.empty() && pending_.size() >= options_.group_size_max) return false;
  switch (state_) {
    case State::preparing_rebalance:
      return (member && known->second.join) || waiting_joins_ < options_.group_size_max;
    case State::completing_rebalance:
    case State::stable:
      return member || (request.instance && static_.contains(*request.instance)) ||
             members_.size() < options_.group_size_max;
    default:
      return true;
  }
}

bool GroupCore::supports(const JoinRequest& request) const {
  auto too_long = [](const JoinProtocol& p) { return p.name.size() > kStringBytesMax; };
  if (request.protocol_type.empty() || request.protocols.empty() ||
      request.protocol_type.size() > kStringBytesMax ||
      std::ranges::any_of(request.protocols, too_long))
    return false;
  if (members_.empty()) return true;
  if (request.protocol_type != protocol_type_) return false;
  return std::ranges::any_of(request.protocols, [&](const JoinProtocol& protocol) {
    auto found = supporters_.find(protocol.name);
    return found != supporters_.end() && found->second == members_.size();
  });
}

KafkaError GroupCore::member_error(const std::string& member,
                                   const std::optional<std::string>& instance) const {
  if (instance) {
    auto owner = static_.find(*instance);
    if (owner == static_.end()) return KafkaError::unknown_member_id;
    if (owner->second != member) return KafkaError::fenced_instance_id;
  }
  return members_.contains(member) ? KafkaError::none : KafkaError::unknown_member_id;
}

void GroupCore::join_new(RequestId id, JoinRequest request, const std::string& unique, Now now,
                         Actions& out) {
  const std::string member_id = id_prefix(request) + "-" + unique;
  if (request.instance) {
    if (static_.contains(*request.instance))
      replace_static(id, std::move(request), member_id, now, out);
    else
      add_member(id, std::move(request), member_id, now, out);
  } else if (request.require_known_member) {
    // A client that retries its first join would leave a member behind each time: it gets its id
    // first, and counts from the second join on.
    const int64_t deadline = now.ms + request.session_timeout_ms;
    pending_[member_id] = deadline;
    deadlines_.emplace(deadline, member_id);
    out.joins.push_back({id, refusal(KafkaError::member_id_required, member_id)});
  } else {
    add_member(id, std::move(request), member_id, now, out);
  }
}

void GroupCore::join_known(RequestId id, JoinRequest request, Now now, Actions& out) {
  auto pending = pending_.find(request.member);
  if (pending != pending_.end() && !request.instance) {
    deadlines_.erase({pending->second, pending->first});
    pending_.erase(pending);
    const std::string member_id = request.member;
    return add_member(id, std::move(request), member_id, now, out);
  }
  const KafkaError error = member_error(request.member, request.instance);
  if (error != KafkaError::none) {
    out.joins.push_back({id, refusal(error, request.member)});
    return;
  }
  Member& member = members_.at(request.member);
  join_again(id, member, std::move(request), now, out);
}

void GroupCore::join_again(RequestId id, Member& member, JoinRequest request, Now now,
                           Actions& out) {
  const bool same = same_protocols(member, request.protocols);
  // A lost answer, or a follower that asks again: it is told what it should have heard. The leader
  // of a stable group asks because it wants another assignment.
  if ((state_ == State::completing_rebalance && same) ||
      (state_ == State::stable && same && leader_ != member.id)) {
    watch(member, now);
    out.joins.push_back({id, current(member)});
    return;
  }
  update_member(id, member, request, now, out);
  rebalance_or_complete(now, out);
}

void GroupCore::replace_static(RequestId id, JoinRequest request, const std::string& new_id,
                               Now now, Actions& out) {
  const std::string old_id = static_.at(*request.instance);
  const std::string leader_before = leader_.value_or("");
  Member& old = members_.at(old_id);
  answer_join(old, refusal(KafkaError::fenced_instance_id, old_id), out);
  SyncResponse fenced;
  fenced.error = KafkaError::fenced_instance_id;
  answer_sync(old, std::move(fenced), out);
  unwatch(old);
  auto node = members_.extract(old_id);
  node.key() = new_id;
  Member& member = members_.insert(std::move(node)).position->second;
  member.id = new_id;
  static_[*request.instance] = new_id;
  if (leader_ == old_id) leader_ = new_id;
  if (pending_sync_.erase(old_id)) pending_sync_.insert(new_id);
  const bool can_skip = request.supports_skip_assignment;
  update_member(id, member, request, now, out);

  if (state_ != State::stable || protocol_ != select_protocol())
    return rebalance_or_complete(now, out);
  // A restart of a static member costs no rebalance; but its new id must survive us.
  PendingWrite pending;
  pending.generation = generation_;
  pending.member = new_id;
  pending.join = id;
  pending.leader_before = leader_before;
  pending.skip_assignment = can_skip;
  write(std::move(pending), record(nullptr), out);
}

void GroupCore::add_member(RequestId id, JoinRequest request, const std::string& member_id, Now now,
                           Actions& out) {
  if (members_.empty()) protocol_type_ = request.protocol_type;
  if (!leader_) leader_ = member_id;
  Member member;
  member.id = member_id;
  member.instance = request.instance;
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.protocols = std::move(request.protocols);
  member.is_new = true;
  member.join = id;
  ++waiting_joins_;
  if (member.instance) static_[*member.instance] = member_id;
  if (state_ == State::preparing_rebalance && initial_) new_member_added_ = true;
  Member& added = members_.emplace(member_id, std::move(member)).first->second;
  count_protocols(added, +1);
  watch(added, now);
  rebalance_or_complete(now, out);
}

void GroupCore::update_member(RequestId id, Member& member, JoinRequest& request, Now now,
                              Actions& out) {
  // An older join of the same member: whoever sent it is gone or asks again.
  answer_join(member, refusal(KafkaError::rebalance_in_progress, member.id), out);
  count_protocols(member, -1);
  member.protocols = std::move(request.protocols);
  count_protocols(member, +1);
  member.session_timeout_ms = request.session_timeout_ms;
  member.rebalance_timeout_ms = request.rebalance_timeout_ms;
  member.join = id;
  ++waiting_joins_;
  watch(member, now);
}

void GroupCore::count_protocols(const Member& member, int direction) {
  for (const JoinProtocol& protocol : member.protocols) {
    size_t& count = supporters_[protocol.name];
    count += static_cast<size_t>(direction);
    if (count == 0) supporters_.erase(protocol.name);
  }
  metadata_bytes_ += static_cast<size_t>(direction) * bytes_of(member.protocols);
}

JoinResponse GroupCore::current(const Member& member) const {
  JoinResponse response;
  response.generation = generation_;
  response.protocol_type = protocol_type_;
  response.protocol = protocol_;
  response.leader = leader_.value_or("");
  response.member = member.id;
  if (leader_ == member.id)
    for (const auto& [id, other] : members_)
      response.members.push_back({id, other.instance, metadata_of(other)});
  return response;
}

}  // namespace paceline::group
