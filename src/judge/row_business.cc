#include <algorithm>
#include <cmath>

#include "judge/scorecard.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

// What the transfers' records moved, as they were read back, against what was told to have been
// moved. What nobody was told of may be there or not.
std::optional<double> off_by(const Score& score, uint64_t& records) {
  const Dossier& dossier = score.dossier;
  std::optional<double> off;
  for (const auto& [key, log] : score.logs) {
    if (dossier.run.topics[key.first].role != "transfer") continue;
    if (log.read_back.empty()) continue;
    if (!off) off = 0;
    for (const auto& [client, stream] : log.streams)
      for (const Record& record : stream.records) {
        records += record.acked();
        const double amount = std::abs(static_cast<double>(record.amount));
        const bool told = record.acked() && (record.offset <= log.read_back_end);
        if (told && record.read_back == 0) *off += amount;
        if (record.read_back > 1) *off += amount * (record.read_back - 1);
      }
  }
  return off;
}

Figure sum(const Score& score) {
  uint64_t records = 0;
  auto off = off_by(score, records);
  Figure figure = score.limits.judge("sum_differs", off, records);
  figure.files = {"ledger.bin"};
  // What the reader had summed up when it was behind nothing.
  for (const evidence::Event* event : score.dossier.all("business.stale")) {
    const auto found = event->number("sum");
    const auto expected = event->number("expected");
    if (!found || !expected || event->number("behind").value_or(1) != 0 || *found == *expected)
      continue;
    figure = score.limits.judge("sum_differs",
                                std::max(off.value_or(0), std::abs(*found - *expected)), records);
    figure.files = {"ledger.bin"};
    figure.events = {event->event_id};
  }
  return figure;
}

Figure staleness(const Score& score) {
  std::vector<double> values;
  const evidence::Event* worst = nullptr;
  for (const evidence::Event* event : score.dossier.all("business.stale")) {
    if (!event->value || event->t_mono_ns < score.dossier.zero_ns) continue;
    values.push_back(*event->value);
    if (!worst || *event->value > *worst->value) worst = event;
  }
  const Quantiles quantiles = quantiles_of(std::move(values));
  std::optional<double> beyond;
  if (const auto stale = quantiles.worst())
    beyond = std::max(0.0, *stale - score.report.gap.max.value_or(0));
  Figure figure = score.limits.judge("staleness_beyond_gap_ms", beyond, quantiles.samples);
  figure.name += quantiles.p99 ? ", p99" : ", max";
  if (worst) figure.events = {worst->event_id};
  return figure;
}

// Records that were not acknowledged when the baseline's rate would have been, in all. Told only.
Figure dip(const Score& score) {
  Figure figure;
  figure.name = "throughput dip";
  figure.unit = "records";
  figure.green = "told, not judged";
  figure.required = false;
  const Series& series = score.report.series;
  double before = 0, bins = 0, lacking = 0;
  for (size_t i = 0; i < series.acks.size(); ++i) {
    const double at = series.from_ms + static_cast<double>(i) * series.bin_ms;
    if (at + series.bin_ms > score.dossier.ms(score.dossier.baseline_to_ns)) break;
    before += static_cast<double>(series.acks[i]);
    ++bins;
  }
  if (bins == 0 || score.report.steps.empty()) return figure;
  double until = 0;
  for (const StepView& step : score.dossier.steps)
    if (step.effective) until = std::max(until, score.dossier.ms(step.end_ns));
  for (size_t i = 0; i < series.acks.size(); ++i) {
    const double at = series.from_ms + static_cast<double>(i) * series.bin_ms;
    if (at >= 0 && at + series.bin_ms <= until)
      lacking += std::max(0.0, before / bins - static_cast<double>(series.acks[i]));
  }
  figure.value = std::round(lacking);
  figure.samples = static_cast<uint64_t>(bins);
  return from(std::move(figure), faults_of(score.dossier), {"ledger.bin"});
}

}  // namespace

Row business_row(const Score& score) {
  Row row;
  row.id = "business";
  row.question = "Business outcome";
  row.figures = {sum(score), staleness(score), dip(score)};
  settle(row);
  return row;
}

}  // namespace paceline::judge
