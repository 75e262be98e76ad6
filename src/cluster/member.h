#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/model.h"
#include "env/sync.h"

namespace paceline::cluster {

// How long a change waits for those before it, and then to be seen here once it is made.
inline constexpr env::Duration kPatience = std::chrono::seconds(10);

// This broker's place in metadata: made by a join, valid until the next one of the same broker.
struct Registration {
  Lane lane;
  Revision at;  // of the broker's record. A fence always rewrites that record, so comparing it is
                // comparing "the lane is open and ours", and uploads do not disturb it
  bool fenced_former = false;  // it ended an incarnation that was registered still
};

// Lives on `shard`; only image() is for all. Changes are made one at a time.
class Member final : public Cluster {
 public:
  Member(env::Shard& shard, meta::Store& store, Options options, Uuid cluster_id,
         Registration registration);

  // Lists everything, then follows it in the background.
  Task<Result<void>> start();

  Lane lane() const override { return registration_.lane; }
  std::optional<Revision> fenced_former() const override {
    return registration_.fenced_former ? std::optional(registration_.at) : std::nullopt;
  }
  Uuid cluster_id() const override { return cluster_id_; }
  std::shared_ptr<const Image> image() const override { return image_.load(); }
  void on_image(std::function<void(std::shared_ptr<const Image>)> listener) override;
  Task<Result<Uuid>> create_topic(env::Shard& home, NewTopic topic) override;
  Task<Result<void>> delete_topic(env::Shard& home, std::string name) override;
  Task<Result<void>> grow_topic(env::Shard& home, std::string name, uint32_t partition_count,
                                Assignments assigned) override;
  Task<Result<void>> change_topic_configs(env::Shard& home, std::string name,
                                          ConfigChange change) override;
  Task<Result<void>> change_broker_configs(env::Shard& home, std::optional<BrokerId> id,
                                           ConfigChange change) override;
  Task<Result<int64_t>> next_producer_id(env::Shard& home) override;
  Task<Result<Fenced>> fence(env::Shard& home, Lane lane, std::vector<BrokerId> doubtful) override;
  Task<Result<std::shared_ptr<const Image>>> newest_image(env::Shard& home) override;
  Task<Result<std::vector<Moving>>> begin_moves(env::Shard& home,
                                                std::vector<StreamId> streams) override;
  Task<Result<Revision>> take_over(env::Shard& home, Lane source, std::vector<Moving> moves,
                                   meta::Transaction own) override;
  Task<Result<bool>> call_off(env::Shard& home, std::vector<Moving> moves) override;
  Task<Result<void>> prefer(env::Shard& home, std::vector<Preference> preferences) override;
  Task<Result<void>> materialise(env::Shard& home) override;
  Task<void> stop(env::Shard& home) override;

 private:
  struct Followed {
    std::unique_ptr<meta::Watch> watch;
    Revision seen;
    Revision whole;  // from here on what is known is of one revision
    Revision own;    // of our own last change that was taken in before the watch brought it
  };
  // One change at a time; the next may start when it is destroyed.
  class Turn {
   public:
    explicit Turn(Member& member) : member_(&member) {}
    Turn(Turn&& other) noexcept : member_(std::exchange(other.member_, nullptr)) {}
    ~Turn() {
      if (!member_) return;
      member_->changing_ = false;
      member_->turn_.notify_all();
    }

   private:
    Member* member_;
  };
  // unavailable: those before it have waited for the store for too long.
  Task<Result<Turn>> take_turn();

  // follow.cc
  Task<Result<void>> list();
  // Inside the gate from the call on: a stop may come before their first step.
  Task<void> follow(env::Gate::Pass pass);
  void take_in(const meta::Change& change);
  void take_in_own(const std::vector<meta::Write>& writes, Revision revision);
  void publish();
  // Until the image is of `revision` or later. timed_out: it is committed all the same.
  Task<Result<void>> wait_shown(Revision revision);
  static std::unexpected<Error> not_seen();

  // commit.cc
  meta::Transaction guarded() const;
  // As the store's; where nobody else has changed anything in between, the image is of the change
  // when this returns.
  Task<Result<Revision>> commit_and_take_in(meta::Transaction transaction);
  // So too what writes `value` (nothing: removes) at `key`; an unknown outcome is read back. A
  // conflict is told as fenced when it is our registration that is gone.
  Task<Result<Revision>> commit(meta::Transaction transaction, std::string key,
                                std::optional<std::string> value);

  // topics.cc
  Task<Result<Uuid>> create(NewTopic topic);
  Task<Result<void>> erase(std::string name);
  Task<Result<void>> grow(std::string name, uint32_t partition_count, Assignments assigned);
  Task<Result<Revision>> write_pages(Uuid id, uint32_t from, uint32_t to, Assignments assigned);
  // pages.cc
  Task<Result<void>> remove_pages(Uuid id);
  Task<void> remove_pages_later(Uuid id, env::Gate::Pass pass);
  Task<Result<void>> settle_pages();
  Task<Result<void>> settle_page(Uuid topic, uint32_t number, Model::Page page);
  bool is_orphan(const Uuid& topic, const Model::Pages& pages) const;
  // moves.cc
  struct OpenPage {
    std::string key;
    meta::PageRecord record;
    Revision modified;
  };
  Task<Result<OpenPage>> read_page(StreamId stream);
  Task<Result<OpenPage>> know_page(const Moving& move);
  Result<meta::PartitionRecord*> find_led(OpenPage& page, StreamId stream, Lane by) const;
  Task<Result<std::vector<Moving>>> describe(std::vector<StreamId> streams);
  Task<Result<Revision>> take(Lane source, std::vector<Moving> moves, meta::Transaction own);
  Task<Result<std::vector<OpenPage>>> rewrite_pages(Lane source, const std::vector<Moving>& moves);
  Task<Result<Revision>> read_back(Moving move);
  // The term of the first of them, which no move of theirs can change any more; nothing: its page
  // is gone.
  Task<Result<std::optional<meta::TermRecord>>> settle_move(Moving move);
  Task<Result<std::optional<meta::TermRecord>>> settle_move_once(const Moving& move);
  Task<Result<void>> write_preferences(std::vector<Preference> preferences);
  // alive.cc
  Task<void> stay_alive(env::Gate::Pass pass);
  void note_kept();
  Task<bool> may_judge();
  env::Duration log_wait() const;
  Task<bool> log_answers();
  Task<bool> can_lead();
  Task<void> watch_others(env::Gate::Pass pass);
  void tell_fenced(Lane lane, Fenced fenced, env::Instant since, env::Instant noticed);
  // fence.cc
  Task<Result<std::optional<Model::Incarnation>>> read_incarnation(Lane lane);
  Task<Result<Fenced>> end_incarnation(Lane lane, std::vector<BrokerId> doubtful);
  Task<Result<std::shared_ptr<const Image>>> list_anew();
  // configs.cc
  Task<Result<void>> edit_topic_configs(std::string name, ConfigChange change);
  Task<Result<void>> edit_broker_configs(std::optional<BrokerId> id, ConfigChange change);
  Task<Result<int64_t>> take_producer_id();
  Task<Result<void>> reserve_producer_ids();
  Task<void> end();

  env::Shard& shard_;
  meta::Store& store_;
  const Options options_;
  const Uuid cluster_id_;
  const Registration registration_;
  Model model_;
  Followed followed_;
  std::atomic<std::shared_ptr<const Image>> image_;
  std::vector<std::function<void(std::shared_ptr<const Image>)>> listeners_;
  std::set<Uuid> in_doubt_;  // topics whose creation has an unknown outcome: their pages stay
  int64_t producer_id_next_ = 0;
  int64_t producer_id_end_ = 0;
  bool producer_ids_busy_ = false;
  std::optional<meta::Lease> lease_;
  env::Instant kept_{};                     // when our lease was renewed last
  env::Instant kept_since_{};               // without a gap in which it may have ended
  std::optional<env::Instant> log_missed_;  // when the log's place did not answer last
  bool changing_ = false;
  bool stopping_ = false;
  env::Event turn_;
  env::Instant committed_at_;  // the last change
  env::Event shown_;
  env::Event producer_ids_;
  env::Event stop_;
  env::Gate background_;
};

}  // namespace paceline::cluster
