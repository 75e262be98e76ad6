#pragma once

#include "judge/model.h"
#include "judge/records.h"

namespace paceline::judge {

// Whether the cluster kept what it had acknowledged, and in order. Fills `counts` and `anomalies`.
//
// What nobody could answer is no error: a record on its way to the frozen leader of a zombie step,
// or of a client that the drill itself ended in a storm.
void check_ledger(const Dossier& dossier, const Logs& logs, const Strays& strays, Report& report);

// While its leader was frozen on purpose (a zombie), nobody could answer: from, to.
struct Frozen {
  int64_t from_ns = 0, to_ns = 0;
  const StepView* step = nullptr;
};
std::vector<Frozen> frozen_times(const Dossier& dossier);

// Every topic was read from its start to its end after everything else had ended.
bool read_back_complete(const Dossier& dossier);

}  // namespace paceline::judge
