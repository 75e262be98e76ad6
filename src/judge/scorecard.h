#pragma once

#include "judge/limits.h"
#include "judge/model.h"
#include "judge/records.h"

namespace paceline::judge {

// What the rows are made of besides the report so far.
struct Score {
  const Dossier& dossier;
  const Logs& logs;
  const Report& report;
  const Limits& limits;
};

// `leaders`, `storage`, `capacity`, `governance`, `rollback`, `evidence`, `business`, in this
// order.
std::vector<Row> scorecard(const Score& score);

// Does the verdict need evidence for this row? By the plan; where it says nothing, by what
// happened: where no leader was to move, no storage work is due.
bool is_required(const evidence::Run& run, const Report& report, const std::string& row);

// A fault concerned a partition's leader.
bool leaders_moved(const Report& report);

// The worst of the figures: red before all, then grey where evidence is required.
void settle(Row& row);

// With what it was computed from.
Figure from(Figure figure, std::vector<std::string> events, std::vector<std::string> files = {});
// Those that began the steps of which this holds, as far as they took effect.
std::vector<std::string> faults_of(const Dossier& dossier, std::optional<bool> planned = {});

// Of `storage` and of `capacity`.
Figure history_copied(const Score& score);

Row leaders_row(const Score& score);
Row storage_row(const Score& score);
Row capacity_row(const Score& score);
Row governance_row(const Score& score);
Row rollback_row(const Score& score);
Row evidence_row(const Score& score);
Row business_row(const Score& score);

}  // namespace paceline::judge
