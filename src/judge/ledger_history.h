#pragma once

#include <map>

#include "history/history.h"
#include "judge/records.h"

namespace paceline::judge {

// The ledger as the checker reads it: a key is a partition, a value is a client's seq. With what
// watchers were told of leaders and their epochs.
struct LedgerHistory {
  history::History history;
  std::map<history::Key, LogKey> keys;
};

// Without records that cannot be judged: of partitions that were not read back, and of a read-back
// that did not come to its end (`complete`) what lies above it.
LedgerHistory history_of(const Dossier& dossier, const Logs& logs, bool complete);

// Of a value: who sent it, and its number.
std::pair<uint16_t, uint64_t> record_of(history::Value value);

}  // namespace paceline::judge
