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
  bool may_move = true;             // false: it has moved of late, or is about to
};

struct BalanceBounds {
  double tolerance = 0.1;  // a broker may be so far from its share: within it nothing moves
  size_t moves_max = 64;   // of one plan
};

struct BalanceMove {
  StreamId stream;
  BrokerId from;
  BrokerId to;
  std::vector<BrokerId> preferred;  // from then on
  std::string reason;               // one sentence with the figures
};

// What a broker leads: half of its weight is the number of partitions, half the load observed. All
// shares together are 1.
struct BalanceShare {
  BrokerId broker;
  size_t leaders = 0;
  double load = 0;
  double share = 0;
  double due = 0;
};
std::vector<BalanceShare> balance_shares(const std::vector<BalanceBroker>& brokers,
                                         const std::vector<BalancePartition>& partitions);

// First leaders return to where they are preferred, then those above their share give to those
// below. Each move brings the fuller of the two closer to its share; none is undone by another.
std::vector<BalanceMove> plan_balance(const std::vector<BalanceBroker>& brokers,
                                      const std::vector<BalancePartition>& partitions,
                                      const BalanceBounds& bounds);

// `to` in front of the others. The list keeps its length; where somebody has to go, it is one whose
// rack is there twice, if there is such, the later the sooner.
std::vector<BrokerId> prefer(BrokerId to, const std::vector<BrokerId>& preferred,
                             const std::vector<BalanceBroker>& brokers);

}  // namespace paceline::cluster
