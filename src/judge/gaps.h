#pragma once

#include <map>
#include <vector>

#include "judge/model.h"
#include "judge/records.h"

namespace paceline::judge {

// The longest that one client waited for one partition around a step: from the last acknowledgement
// before it, or from when its first unanswered record was to be sent, whatever came later, to the
// first acknowledgement after.
struct Wait {
  const Player* client = nullptr;
  int64_t from_ns = 0, to_ns = 0;
  const Record* last = nullptr;   // acknowledged before; nullptr: none
  const Record* first = nullptr;  // after; nullptr: none has come
  bool excepted = false;          // its client was attached to a frozen leader alone

  double ms() const { return static_cast<double>(to_ns - from_ns) / 1e6; }
};

// How a step looks from one partition.
struct StepLog {
  const StepView* step = nullptr;
  const PartitionLog* log = nullptr;
  std::vector<Wait> waits;               // of each producer that sent meanwhile
  std::optional<int32_t> before, after;  // who acknowledged
  std::optional<int32_t> epoch_before;
  const Record* last_old = nullptr;       // t1
  const Record* first_new = nullptr;      // t8
  std::optional<int64_t> last_client_ns;  // t9; nothing: somebody was never answered again
  bool concerned = false;
};

// For each step that took effect, each partition that anybody sent to.
std::vector<StepLog> step_logs(const Dossier& dossier, const Logs& logs);

}  // namespace paceline::judge
