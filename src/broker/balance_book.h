#pragma once

#include <map>
#include <memory>
#include <vector>

#include "broker/load.h"
#include "cluster/balance.h"
#include "cluster/cluster.h"

// What the balancer knows from one round to the next: what was served where, and what has moved.
// Pure.

namespace paceline::broker {

class BalanceBook {
 public:
  explicit BalanceBook(env::Duration hold) : hold_(hold) {}

  // Who leads what from now on: what another broker has led before has moved.
  void follow(std::shared_ptr<const cluster::Image> image, env::Instant now);
  // It stays where it is, for as long as if it had moved now.
  void hold(const StreamId& stream, env::Instant now) { moved_[stream] = now; }
  // All that was observed, in one look at all brokers. A partition that has just moved is not
  // judged by the little that its new leader has seen of it.
  void observe(const std::vector<StreamLoad>& loads);

  // REQUIRES: follow().
  std::vector<cluster::BalancePartition> partitions(env::Instant now) const;

 private:
  env::Duration hold_;
  std::shared_ptr<const cluster::Image> image_;
  std::map<StreamId, env::Instant> moved_;  // those of late
  std::map<StreamId, double> loads_;
};

}  // namespace paceline::broker
