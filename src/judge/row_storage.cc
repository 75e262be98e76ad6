#include <algorithm>

#include "judge/scorecard.h"

namespace paceline::judge {
namespace {

std::optional<double> number(std::optional<int64_t> count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

// Below it, what is rounded up to blocks says nothing of the work.
constexpr int64_t kTailLeast = 1 << 20;

// Work that did not end before the run did lasted for as long as it was observed, at least.
void still_there(const Score& score, const PartitionRow& partition, Figure& figure) {
  const Milestone& first = partition.milestones[8];
  if (!first.known()) return;
  const double lasted = score.dossier.ms(score.dossier.end_ns) - *first.ms;
  figure.value = std::max(figure.value.value_or(0), lasted);
  const State state = score.limits.at_least("left_over_ms", lasted);
  figure.state = worse(figure.state, state);
  if (state == State::grey) figure.green += ", and observed to its end";
}

}  // namespace

Figure history_copied(const Score& score) {
  const Recovery& recovery = score.report.recovery;
  Figure figure = score.limits.judge("historical_bytes", number(recovery.historical_bytes_copied));
  figure.events = recovery.events;
  return figure;
}

Row storage_row(const Score& score) {
  const Recovery& recovery = score.report.recovery;
  Row row;
  row.id = "storage";
  row.question = "Did storage work stay bounded?";
  std::optional<double> ratio;
  if (recovery.log_bytes_read && recovery.unuploaded_bytes)
    ratio = static_cast<double>(*recovery.log_bytes_read) /
            static_cast<double>(std::max(*recovery.unuploaded_bytes, kTailLeast));
  Figure bytes = score.limits.judge("recovery_ratio", ratio);
  bytes.required = false;
  bytes.events = recovery.events;
  row.figures.push_back(std::move(bytes));

  row.figures.push_back(history_copied(score));

  const auto concerned = static_cast<uint64_t>(
      std::ranges::count_if(score.report.partitions, &PartitionRow::concerned));
  // More than the drill's own partitions may have moved.
  const int64_t recovered = std::max(static_cast<int64_t>(concerned), recovery.streams.value_or(0));
  std::optional<double> requests;
  if ((recovery.requests_get || recovery.requests_put) && concerned > 0)
    requests =
        static_cast<double>(recovery.requests_get.value_or(0) + recovery.requests_put.value_or(0)) /
        static_cast<double>(recovered);
  Figure asked =
      score.limits.judge("requests_per_partition", requests, static_cast<uint64_t>(recovered));
  asked.required = false;
  row.figures.push_back(std::move(asked));

  row.figures.push_back(score.limits.judge("left_over_ms", recovery.left_over_ms, concerned));
  for (const PartitionRow& one : score.report.partitions)
    if (one.milestones[13].state == Milestone::State::never)
      still_there(score, one, row.figures.back());
  Figure orphans = score.limits.judge("orphans", number(recovery.orphans));
  orphans.required = false;
  row.figures.push_back(std::move(orphans));
  settle(row);
  return row;
}

}  // namespace paceline::judge
