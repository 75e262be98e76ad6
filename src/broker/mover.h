#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/node.h"
#include "broker/peer_format.h"

namespace paceline::broker {

// Planned moves of leadership, both roles. Of the node; on its first shard.
//
// Source: what is left to upload is made small while it serves; then it pauses, and sends what the
// target needs. From then on the pages decide: it goes on only when it knows that the move will
// never happen. Target: makes what it was sent durable in its own lane, opens it, and commits.
class Mover {
 public:
  Mover(Node& node, env::Shard& shard, cluster::Cluster& cluster, stream::Storage& storage);

  // Gives partitions that are led here to another broker; one outcome each, in order.
  Task<std::vector<Outcome>> give(std::vector<StreamId> streams, BrokerId to);
  // Gives away all that is led here, for as long as it gets on, until the deadline. How many are
  // left.
  Task<size_t> drain(env::Instant deadline);
  // Takes what another broker gives: all of it, or nothing.
  Task<Outcome> take(Adopt adopt);
  // Writes preferences down for partitions that are led and open here.
  Task<std::vector<Outcome>> prefer(std::vector<cluster::Preference> preferences);

  size_t led_here() const;
  // Nothing more comes here.
  void take_no_more() { closed_ = true; }
  // It is to lead nothing, which others keep to until they give it something on demand.
  void stay_drained() { drained_ = true; }
  bool drained() const { return drained_; }
  bool going() const { return draining_ || closed_; }

 private:
  // A partition on its way out, or in.
  struct Leaving {
    StreamId stream;
    Epoch epoch;
    Offset end;
    Slice passport;
    bool paused = false;
    bool too_much = false;  // is not uploaded yet
    std::string failure;
  };
  struct Arriving {
    Adopt::One what;
    std::unique_ptr<Hosted> hosted;
    bool claimed = false;
    std::string failure;
  };
  using LeavingOfShard = std::vector<Leaving*>;
  using ArrivingOfShard = std::vector<Arriving*>;
  // unknown: the broker ends, and nothing of them may go on here.
  enum class Verdict { moved, off, unknown };
  // One attempt, as it is told of.
  struct Journey {
    std::string cause;
    Lane target;
    size_t count = 0;
    env::Instant began, paused, still, answered, over;
  };
  // What joins the events of both sides: no two attempts have it, unless nothing came of the first.
  std::string cause_of(const cluster::Moving& first) const;
  Event event_of(std::string_view type, const std::string& cause, size_t count) const;

  // source
  void tell_end(const Journey& journey, Verdict verdict, const Outcome& outcome) const;
  Task<Outcome> give_again(std::vector<StreamId> streams, Lane target);
  Task<Outcome> give_some(std::vector<StreamId> streams, Lane target);
  Task<Outcome> send(std::vector<Leaving>& leaving, std::vector<cluster::Moving> moves, Lane target,
                     Journey& journey);
  Task<Verdict> settle(Result<Slice> answer, std::vector<cluster::Moving> moves, Outcome& outcome);
  static Task<void> pause_on(Mover* mover, ShardHost* host, LeavingOfShard* mine);
  static Task<void> pause_one(Mover* mover, ShardHost* host, Leaving* one, env::Gate::Pass pass);
  static Task<void> resume_on(Mover* mover, ShardHost* host, LeavingOfShard* mine);
  static Task<void> turn_away(Mover* mover, ShardHost* host, LeavingOfShard* mine);
  static Task<void> part_with(Mover* mover, ShardHost* host, LeavingOfShard* mine, Lane target);
  static Task<void> close_on(Mover* mover, ShardHost* host, LeavingOfShard* mine);
  static Task<void> close_one(Mover* mover, ShardHost* host, StreamId stream, env::Gate::Pass pass);
  using Plan = std::map<BrokerId, std::vector<StreamId>>;
  Plan plan_drain(const std::set<BrokerId>& without) const;

  // target
  Task<bool> wait_known(const std::vector<Arriving>& arriving);
  Task<Outcome> adopt(Lane source, std::vector<Arriving>& arriving, const std::string& cause);
  static Task<void> claim_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine);
  static Task<void> open_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine);
  static Task<void> serve_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine,
                             std::shared_ptr<Arrival> arrival);
  static Task<void> drop_on(Mover* mover, ShardHost* host, ArrivingOfShard* mine);

  // Runs `step(this, host, items, more...)` on each shard that has some of `all`, side by side.
  static const StreamId& stream_of(const Leaving& one) { return one.stream; }
  static const StreamId& stream_of(const Arriving& one) { return one.what.move.stream; }
  template <class Item, class Step, class... More>
  Task<void> on_shards(std::vector<Item>& all, Step step, More... more);

  Node& node_;
  env::Shard& shard_;
  cluster::Cluster& cluster_;
  stream::Storage& storage_;
  bool draining_ = false;
  bool drained_ = false;
  bool closed_ = false;
};

}  // namespace paceline::broker
