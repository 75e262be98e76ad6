#pragma once

#include <string>
#include <vector>

#include "drill/cluster_view.h"
#include "drill/plan.h"

// Each step applied to a copy of live metadata, before anything is done. Pure.

namespace paceline::drill {

// What would be left by a step.
struct Outlook {
  std::string step;
  std::vector<std::string> leaderless;   // partitions that nobody could lead
  std::vector<std::string> zones_empty;  // zones without a broker
  std::string why;                       // one sentence; empty: it may be done
  bool refused() const { return !why.empty(); }
};

// The brokers that a step takes away; empty: none. An unknown one is refused.
Outlook simulate_step(const ClusterView& view, const Plan::Step& step,
                      const std::vector<int32_t>& brokers, bool any_broker_leads);

// A clean-up that is asked for, and what the run has made.
struct CleanUp {
  struct Topic {
    std::string name, id;
  };
  std::vector<Topic> topics;
  std::vector<int32_t> brokers;  // to be taken away: never allowed
};
// One sentence for each thing that may not be removed; empty: all of it may.
std::vector<std::string> check_cleanup(const ClusterView& view, const CleanUp& asked,
                                       const CleanUp& made);

// What the plan lacks whatever the cluster is: an owner, a rollback point. `owner` is stronger.
std::vector<std::string> check_rollback(const Plan& plan, const std::string& owner);

}  // namespace paceline::drill
