#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "group/group.h"
#include "group/offsets_format.h"

namespace paceline::group {

using RequestId = uint64_t;
enum class State { empty, preparing_rebalance, completing_rebalance, stable, dead };
std::string_view state_name(State state);  // Kafka's

// Both clocks at the moment of an event: `ms` is monotonic and decides, `wall_ms` goes into
// records.
struct Now {
  int64_t ms = 0;
  int64_t wall_ms = 0;
};

// What the shell has to do after an event, in this order.
struct Actions {
  struct Join {
    RequestId id;
    JoinResponse response;
  };
  struct Sync {
    RequestId id;
    SyncResponse response;
  };
  struct Write {  // make it durable, then tell persisted(ticket)
    uint64_t ticket;
    GroupRecord record;
  };
  std::vector<Join> joins;
  std::vector<Sync> syncs;
  std::vector<Write> writes;
};

struct Member {
  std::string id;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = 0;
  std::vector<JoinProtocol> protocols;
  std::string assignment;
  std::optional<RequestId> join;  // waits for the join phase to end
  std::optional<RequestId> sync;  // waits for the leader's assignment
  bool is_new = false;            // has not yet heard its member id
  int64_t deadline_ms = std::numeric_limits<int64_t>::max();
};

// The classic group protocol of one group as Apache Kafka's coordinator plays it: events in,
// actions out. Pure: no clock, no I/O, no randomness. Call wake() at next_wake_ms(). Offsets are
// not here, only who may commit them.
class GroupCore {
 public:
  // `record`: what the group left when it was last durable, or null. Its members' sessions start
  // anew and their assignments hold. `options` outlives the core and may change under it.
  GroupCore(std::string name, const Options& options, const GroupRecord* record, Now now);

  // Answers now or later, once for every id. `unique` ends a member id made here.
  Actions join(RequestId id, JoinRequest request, const std::string& unique, Now now);
  Actions sync(RequestId id, SyncRequest request, Now now);
  KafkaError heartbeat(const HeartbeatRequest& request, Now now);
  // Fills the errors of `members`. What is written should be durable before it is answered.
  Actions leave(std::vector<LeavingMember>& members, Now now);
  KafkaError admit_commit(const CommitRequest& request, Now now);
  KafkaError admit_offset_delete() const;
  // Dead from here until the tombstones are durable (forget the core) or were refused.
  KafkaError begin_delete();
  void delete_failed();

  Actions wake(Now now);
  Actions persisted(uint64_t ticket, KafkaError error, Now now);
  std::optional<int64_t> next_wake_ms() const;

  State state() const { return state_; }
  int32_t generation() const { return generation_; }
  const std::string& protocol_type() const { return protocol_type_; }
  int64_t state_since_wall_ms() const { return state_since_ms_; }
  const std::map<std::string, Member>& members() const { return members_; }
  const std::optional<std::string>& leader() const { return leader_; }
  // No member, nobody on the way to be one, nothing being written.
  bool unused() const { return state_ == State::empty && pending_.empty() && writes_.empty(); }
  DescribedGroup describe() const;
  // Of groups of consumers: the union over the members. Nothing: unknown, or another protocol.
  std::optional<std::set<std::string>> subscribed_topics() const;
  bool subscribed(const std::string& topic) const;
  bool expirable(const TopicPartition& at, const OffsetValue& value,
                 const std::optional<std::set<std::string>>& topics, int64_t wall_ms) const;

 private:
  struct PendingWrite {
    bool assignment = false;  // of a sync; else of a static member that came back, or of the end
    int32_t generation = 0;
    std::map<std::string, std::string> assignments;
    std::string member;  // static: whose join waits
    RequestId join = 0;
    std::string leader_before;
    bool skip_assignment = false;
  };

  // Join, in the order it runs (group_join.cc).
  KafkaError admit_join(const JoinRequest& request) const;
  bool has_room(const JoinRequest& request) const;
  bool supports(const JoinRequest& request) const;
  KafkaError member_error(const std::string& member,
                          const std::optional<std::string>& instance) const;
  void join_new(RequestId id, JoinRequest request, const std::string& unique, Now now,
                Actions& out);
  void join_known(RequestId id, JoinRequest request, Now now, Actions& out);
  void join_again(RequestId id, Member& member, JoinRequest request, Now now, Actions& out);
  void replace_static(RequestId id, JoinRequest request, const std::string& new_id, Now now,
                      Actions& out);
  void add_member(RequestId id, JoinRequest request, const std::string& member_id, Now now,
                  Actions& out);
  void update_member(RequestId id, Member& member, JoinRequest& request, Now now, Actions& out);
  JoinResponse current(const Member& member) const;

  // The phases of a rebalance (group_rebalance.cc).
  void rebalance_or_complete(Now now, Actions& out);
  void prepare_rebalance(Now now, Actions& out);
  void complete_join_if_all(Now now, Actions& out);
  void complete_join(Now now, Actions& out);
  void on_join_deadline(Now now, Actions& out);
  void on_sync_deadline(Now now, Actions& out);
  void expire(const std::string& id, Now now, Actions& out);
  void after_removal(bool member_gone, Now now, Actions& out);
  // True if it was a member, not just an id handed out.
  bool remove_member(const std::string& id, Actions& out);
  bool elect_joined_leader();
  std::string select_protocol() const;
  void assign(std::map<std::string, std::string> assignments, Now now, Actions& out);
  void fail_syncs(KafkaError error, Now now, Actions& out);

  void enter(State state, Now now);
  void watch(Member& member, Now now);
  void unwatch(Member& member);
  void count_protocols(const Member& member, int direction);
  void answer_join(Member& member, JoinResponse response, Actions& out);
  void answer_sync(Member& member, SyncResponse response, Actions& out);
  SyncResponse assigned(const Member& member) const;
  int32_t rebalance_timeout_ms() const;
  GroupRecord record(const std::map<std::string, std::string>* assignments) const;
  uint64_t write(PendingWrite pending, GroupRecord record, Actions& out);
  const std::string& metadata_of(const Member& member) const;

  std::string name_;
  const Options& options_;
  State state_ = State::empty;
  State previous_state_ = State::empty;
  int64_t state_since_ms_ = -1;
  int32_t generation_ = 0;
  std::string protocol_type_;
  std::optional<std::string> protocol_;
  std::optional<std::string> leader_;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> static_;  // instance -> member
  std::map<std::string, size_t> supporters_;   // protocol -> members that know it
  std::map<std::string, int64_t> pending_;     // ids handed out, with their deadline
  std::set<std::string> pending_sync_;
  std::set<std::pair<int64_t, std::string>> deadlines_;  // of members and pending ids
  std::optional<int64_t> join_deadline_ms_;
  std::optional<int64_t> sync_deadline_ms_;
  bool initial_ = false;  // the first join phase of an empty group: it may be extended
  bool new_member_added_ = false;
  int64_t initial_delay_ms_ = 0;
  int64_t initial_remaining_ms_ = 0;
  size_t waiting_joins_ = 0;
  size_t metadata_bytes_ = 0;
  std::map<uint64_t, PendingWrite> writes_;
  uint64_t last_ticket_ = 0;
};

}  // namespace paceline::group
