#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

// Which leaderships to move so that each broker carries its share. Pure: the same input gives the
// same plan on every machine.

namespace paceline::cluster {

struct BalanceBroker {
  BrokerId id;
  std::string rack;
  uint32_t capacity = 1;  // its share of the whole is in proportion; 0: it is to lead nothing
};
struct BalancePartition {
  StreamId stream;
  BrokerId leader;                  // one of those above, or the partition is left alone
  std::vector<BrokerId> preferred;  // in order; the first is the preferred leader
  double load = 0;                  // as observed, bytes a second in and out
  bool may_level = true;            // false: it has moved of late, and only goes home
};

struct BalanceBounds {
  // A broker may be so far from what is due to it: within it nothing moves. Beyond it all are
  // brought to half of it, so that what changes a little does not move again; and a move has to
  // bring two brokers closer to each other by half of it.
  double tolerance = 0.1;
  size_t moves_max = 64;  // of one plan
  // A whole load of so many bytes a second for each broker counts half as much as the number of
  // partitions, one far above it as much, one far below it nothing. 0: any counts as much.
  double light_load = 0;
};

struct BalanceMove {
  StreamId stream;
  BrokerId from;
  BrokerId to;
  std::vector<BrokerId> preferred;  // from then on
  std::string reason;               // one sentence with the figures
};

// What a broker leads: the number of its partitions, and the load observed. All shares together are
// 1.
struct BalanceShare {
  BrokerId broker;
  size_t leaders = 0;
  double load = 0;
  double share = 0;  // the mean of the shares of both, each as it counts
  double due = 0;
};
std::vector<BalanceShare> balance_shares(const std::vector<BalanceBroker>& brokers,
                                         const std::vector<BalancePartition>& partitions,
                                         const BalanceBounds& bounds);

// First leaders return to where they are preferred, then those above their share, of partitions or
// of load, give to those below. No partition is moved twice.
std::vector<BalanceMove> plan_balance(const std::vector<BalanceBroker>& brokers,
                                      const std::vector<BalancePartition>& partitions,
                                      const BalanceBounds& bounds);

// `to` in front of the others. The list keeps its length; where somebody has to go, it is one whose
// rack is there twice, if there is such, the later the sooner.
std::vector<BrokerId> prefer(BrokerId to, const std::vector<BrokerId>& preferred,
                             const std::vector<BalanceBroker>& brokers);

}  // namespace paceline::cluster
