#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "env/sync.h"
#include "group/group_core.h"
#include "group/image.h"
#include "group/journal.h"

namespace paceline::group {

// The shell around the cores: looks the group up, feeds the event, obeys the actions, keeps the one
// timer. Offsets are read from the image alone, so what is fetched is durable.
class GroupCoordinator final : public Coordinator {
 public:
  GroupCoordinator(env::Shard& shard, Options options);
  ~GroupCoordinator() override;

  void restore(std::string_view snapshot) override;
  void replay(const stream::Batch& batch) override;
  std::string snapshot(Offset end) override;
  void bind(partition::Partition& partition) override;
  void set_options(Options options) override;

  Task<JoinResponse> join(JoinRequest request) override;
  Task<SyncResponse> sync(SyncRequest request) override;
  Task<KafkaError> heartbeat(HeartbeatRequest request) override;
  Task<KafkaError> leave(std::string group, std::vector<LeavingMember>& members) override;
  Task<std::vector<KafkaError>> commit(CommitRequest request) override;
  std::vector<std::pair<TopicPartition, CommittedOffset>> fetch_offsets(
      const std::string& group,
      const std::optional<std::vector<TopicPartition>>& partitions) const override;
  Task<std::pair<KafkaError, std::vector<KafkaError>>> delete_offsets(
      std::string group, std::vector<TopicPartition> partitions) override;
  Task<KafkaError> delete_group(std::string group) override;
  std::optional<DescribedGroup> describe(const std::string& group) const override;
  std::vector<Listed> list() const override;
  Task<void> forget_topic(std::string topic) override;
  Task<void> close() override;

 private:
  struct Entry {
    Entry(std::string group, const Options& options, const GroupRecord* record, Now now)
        : name(group), core(std::move(group), options, record, now) {}
    std::string name;
    GroupCore core;
    size_t commits_flying = 0;
    std::optional<int64_t> wake_ms;  // its place in wakes_
  };
  using EntryPtr = std::shared_ptr<Entry>;
  // Waits for one value; shared with whoever brings it, because the waiting frame may go first.
  template <class T>
  struct Reply {
    explicit Reply(env::Shard& shard) : ready(shard) {}
    void put(T brought) {
      value = std::move(brought);
      ready.notify_all();
    }
    std::optional<T> value;
    env::Event ready;
  };
  template <class T>
  static Task<T> wait(std::shared_ptr<Reply<T>> reply) {
    while (!reply->value) co_await reply->ready.wait();
    co_return *std::move(reply->value);
  }

  Now now() const;
  KafkaError refusal(const std::string& group) const;
  EntryPtr find(const std::string& group) const;
  EntryPtr find_or_create(const std::string& group);
  void perform(const EntryPtr& entry, Actions actions,
               std::shared_ptr<Reply<KafkaError>> last = {});
  // Forgets a group of which nothing is left, in memory or in the log.
  void drop_if_unused(const EntryPtr& entry);
  void schedule(const EntryPtr& entry);
  void arm();
  void on_timer();

  // Offsets (coordinator_offsets.cc).
  Task<KafkaError> written(std::vector<Record> records);
  Task<KafkaError> erase_records(std::vector<Record> tombstones);
  std::vector<Record> tombstones_of(const std::string& group) const;
  void expire_offsets();
  void expire_group(const EntryPtr& entry);

  env::Shard& shard_;
  Options options_;
  Image image_;
  Journal journal_;
  std::map<std::string, EntryPtr> groups_;
  std::unordered_map<RequestId, std::shared_ptr<Reply<JoinResponse>>> joins_;
  std::unordered_map<RequestId, std::shared_ptr<Reply<SyncResponse>>> syncs_;
  RequestId last_request_ = 0;
  std::set<std::pair<int64_t, std::string>> wakes_;
  std::optional<env::Shard::TimerId> timer_;
  int64_t timer_ms_ = 0;
  std::optional<env::Shard::TimerId> expiry_timer_;
  bool bound_ = false;
  bool closed_ = false;
  // A snapshot nobody here can read: kept as it is, and nothing is served from half a state.
  std::string unreadable_;
  env::Gate gate_;
};

// What a failed append means to a client of the coordinator, by Kafka's tables.
KafkaError group_error(KafkaError append);
KafkaError commit_error(KafkaError append);

}  // namespace paceline::group
