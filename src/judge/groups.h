#pragma once

#include <string>
#include <vector>

#include "judge/dossier.h"

namespace paceline::judge {

// What the faults cost consumer groups.
struct GroupLosses {
  bool any = false;  // there are groups
  uint64_t groups = 0;
  uint64_t rebalances_max = 0;      // of one group in one step
  uint64_t extra = 0;               // beyond one a step, of all groups
  std::vector<std::string> lost;    // groups that nobody is assigned to in the end of a step
  std::vector<std::string> events;  // of the most rebalances
  // Who held partitions before a step and is in its group no more in its end, whoever holds them
  // now: "group: member".
  std::vector<std::string> gone;
  std::vector<std::string> gone_events;  // the last that was told of each of them
  uint64_t members = 0;                  // that held partitions before a step
  std::vector<std::string> last_events;  // of each group and member, in the end of the last step
};
GroupLosses group_losses(const Dossier& dossier);

}  // namespace paceline::judge
