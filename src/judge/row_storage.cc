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
  if (figure.events.empty()) figure.files = {"ledger.bin", "timeline.ndjson"};
  const State state = score.limits.at_least("left_over_ms", lasted);
  figure.state = worse(figure.state, state);
  if (state == State::grey) figure.green += ", and observed to its end";
}

// N is how many events told of it, if it is not said what else.
Figure of_recovery(std::string_view limit, std::optional<double> value, const char* field,
                   const Score& score, std::optional<uint64_t> samples = {}) {
  const auto& all = score.report.recovery.events_of;
  const auto found = all.find(field);
  std::vector<std::string> events = found == all.end() ? std::vector<std::string>() : found->second;
  const auto count = static_cast<uint64_t>(events.size());
  return from(score.limits.judge(limit, value, value ? samples.value_or(count) : samples),
              std::move(events));
}

}  // namespace

Figure history_copied(const Score& score) {
  const Recovery& recovery = score.report.recovery;
  return of_recovery("historical_bytes", number(recovery.historical_bytes_copied),
                     "historical_bytes_copied", score);
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
  Figure bytes = of_recovery("recovery_ratio", ratio, "bytes_read", score);
  bytes.required = false;
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
  Figure asked = of_recovery("requests_per_partition", requests, "usd", score,
                             static_cast<uint64_t>(recovered));
  asked.required = false;
  row.figures.push_back(std::move(asked));

  row.figures.push_back(
      of_recovery("left_over_ms", recovery.left_over_ms, "left_over_ms", score, concerned));
  for (const PartitionRow& one : score.report.partitions)
    if (one.milestones[13].state == Milestone::State::never)
      still_there(score, one, row.figures.back());
  Figure orphans = of_recovery("orphans", number(recovery.orphans), "orphans", score);
  orphans.required = false;
  row.figures.push_back(std::move(orphans));
  settle(row);
  return row;
}

}  // namespace paceline::judge
