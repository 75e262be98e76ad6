#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/balance_book.h"
#include "broker/peer_format.h"
#include "cluster/balance.h"
#include "cluster/cluster.h"
#include "env/sync.h"

namespace paceline::broker {

class Node;

// Lets each broker lead its share, by planned moves. Of the node; on its first shard. Every broker
// has one, and the one of the registered broker with the lowest id works: it asks all of them what
// they serve, plans, and asks leaders to move what is too much. Two that believe it of themselves
// do no harm, because a move is decided by the metadata.
class Balancer {
 public:
  Balancer(Node& node, env::Shard& shard);

  // Looks now and then, and soon after brokers have come or gone, until the node stops.
  Task<void> run();
  void wake() { wake_.notify_all(); }

  // What would be done now; and, unless that is all, does it, in the background. Whatever the
  // configuration says of doing it by itself, and of how long what has moved stays.
  Task<BalanceAnswer> balance(bool dry_run);

 private:
  struct Plan {
    std::shared_ptr<const cluster::Image> image;  // which it was made from
    std::set<BrokerId> drained;
    std::vector<cluster::BalanceShare> shares;
    std::vector<cluster::BalanceMove> moves;
    env::Duration took{0};
  };
  struct Asked {
    BrokerId broker;
    Result<LoadAnswer> answer = fail(Code::unavailable, "was not asked");
  };
  struct Failures;
  struct Round;
  using Way = std::pair<BrokerId, BrokerId>;
  using Moves = std::vector<const cluster::BalanceMove*>;

  bool is_ours(const cluster::Image& image) const;
  env::Duration interval() const;
  // An error: why nothing is to be done now.
  Task<Result<Plan>> plan(bool on_demand);
  Task<Result<std::vector<Asked>>> ask_all(const cluster::Image& image);
  static Task<void> ask_one(Balancer* balancer, Asked* asked, env::Gate::Pass);
  Task<void> ask(Asked* asked);
  Task<Plan> compute(std::shared_ptr<const cluster::Image> image, std::set<BrokerId> drained,
                     std::vector<StreamLoad> loads, bool on_demand);
  // REQUIRES: doing_, which ends with it.
  Task<void> carry_out(Plan plan);
  static Task<void> give_away(Balancer* balancer, Round* round, BrokerId from,
                              const std::map<BrokerId, Moves>* targets, env::Gate::Pass);
  Task<size_t> carry_out_some(Way way, Moves moves, const cluster::Image& image);
  static Task<void> carry_out_later(Balancer* balancer, Plan plan, env::Gate::Pass);
  void tell(Way way, const Moves& moves, const cluster::Image& image, const Failures& failures,
            env::Duration took) const;

  Node& node_;
  env::Shard& shard_;
  env::Event wake_;
  env::Gate background_;
  std::shared_ptr<BalanceBook> book_;  // shared with the thread that plans
  std::string last_reason_;            // why nothing was done; told once
  uint64_t rounds_ = 0;
  bool doing_ = false;     // moves are being made
  bool planning_ = false;  // the book is in use
};

}  // namespace paceline::broker
