#pragma once

#include "judge/model.h"
#include "judge/records.h"

namespace paceline::judge {

// Whether the cluster kept what it had acknowledged, and in order. Fills `counts` and `anomalies`.
//
// A record that no application was told of, since its client was attached to the frozen leader of a
// zombie step alone, is no error.
void check_ledger(const Dossier& dossier, const Logs& logs, Report& report);

// While its leader was frozen on purpose (a zombie), nobody could answer: from, to.
struct Frozen {
  int64_t from_ns = 0, to_ns = 0;
  const StepView* step = nullptr;
};
std::vector<Frozen> frozen_times(const Dossier& dossier);

// Every topic was read from its start to its end after everything else had ended.
bool read_back_complete(const Dossier& dossier);

}  // namespace paceline::judge
