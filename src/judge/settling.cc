#include "judge/settling.h"

#include <algorithm>

#include "judge/milestones.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSecondsMax = 86'400;
constexpr size_t kStays = 10;   // seconds
constexpr size_t kEnough = 30;  // seconds that say that it does not come back
constexpr double kNear = 1.1;   // of the baseline
constexpr double kNoiseMs = 1;  // below it, a tenth more is no difference

}  // namespace

SecondsOfLatency latency_by_second(const Dossier& dossier, const Logs& logs, int64_t from_ns,
                                   int64_t to_ns) {
  SecondsOfLatency result;
  result.from_ns = from_ns;
  const int64_t count = std::clamp<int64_t>((to_ns - from_ns) / kSecond, 0, kSecondsMax);
  std::vector<std::vector<double>> samples(static_cast<size_t>(count));
  for (const auto& [key, log] : logs)
    for (const auto& [client, stream] : log.streams) {
      if (dossier.run.clients[client].kind == "bystander") continue;
      for (const Record& record : stream.records) {
        const int64_t since = record.intended_ns - from_ns;
        if (since < 0 || since / kSecond >= count) continue;
        const int64_t until = record.acked() ? record.told_ns : std::max(to_ns, record.told_ns);
        samples[static_cast<size_t>(since / kSecond)].push_back(
            static_cast<double>(until - record.intended_ns) / 1e6);
      }
    }
  for (auto& second : samples) {
    std::ranges::sort(second);
    result.p99_ms.push_back(second.empty() ? std::nullopt
                                           : std::optional(nearest_rank(second, 0.99)));
  }
  return result;
}

std::optional<double> baseline_p99_ms(const Dossier& dossier, const Logs& logs) {
  std::vector<double> seconds;
  for (const auto& second :
       latency_by_second(dossier, logs, dossier.baseline_from_ns, dossier.baseline_to_ns).p99_ms)
    if (second) seconds.push_back(*second);
  if (seconds.empty()) return std::nullopt;
  std::ranges::sort(seconds);
  return nearest_rank(seconds, 0.95);
}

namespace {

Milestone settled(const Dossier& dossier, const Logs& logs, const StepView& step) {
  Milestone milestone;
  milestone.state = Milestone::State::not_observable;
  const auto baseline = baseline_p99_ms(dossier, logs);
  const int64_t t0 = step.effective->t_mono_ns;
  const auto seconds = latency_by_second(dossier, logs, t0, step.last_ns);
  if (!baseline) {
    milestone.by = "there was no load before the fault";
    return milestone;
  }
  if (seconds.p99_ms.size() < kStays) {
    milestone.by = "it was observed for less than 10 s";
    return milestone;
  }
  size_t in_a_row = 0;
  const double limit = std::max(*baseline * kNear, *baseline + kNoiseMs);
  for (size_t i = 0; i < seconds.p99_ms.size(); ++i) {
    in_a_row = seconds.p99_ms[i] && *seconds.p99_ms[i] <= limit ? in_a_row + 1 : 0;
    if (in_a_row < kStays) continue;
    milestone.state = Milestone::State::observed;
    milestone.ms = dossier.ms(t0 + static_cast<int64_t>(i + 1 - kStays) * kSecond);
    milestone.err_ms = 0.0;
    milestone.by = "ledger";
    return milestone;
  }
  if (seconds.p99_ms.size() < kEnough) {
    milestone.by =
        "it was observed for less than 30 s, and latency was not as before for 10 of them";
    return milestone;
  }
  milestone.state = Milestone::State::never;
  milestone.by = "latency was not as before for 10 s";
  return milestone;
}

Milestone business_back(const Dossier& dossier, const StepView& step) {
  Milestone milestone;
  const auto limit_set = dossier.run.limits.find("staleness_ms");
  const double limit =
      limit_set == dossier.run.limits.end() ? kStalenessLimitMs : limit_set->second;
  const evidence::Event* back = nullptr;
  bool told = false;
  for (const evidence::Event* event : dossier.all("business.stale")) {
    if (!event->value || event->t_mono_ns < step.effective->t_mono_ns ||
        event->t_mono_ns > step.last_ns)
      continue;
    told = true;
    if (*event->value > limit) {
      back = nullptr;
    } else if (!back) {
      back = event;
    }
  }
  if (!told) {
    milestone.state = Milestone::State::not_observable;
    milestone.by = "no transfers were made";
  } else if (!back) {
    milestone.state = Milestone::State::never;
    milestone.by = "the transfers' reader stayed behind";
  } else {
    milestone.state = Milestone::State::observed;
    milestone.ms = dossier.ms(back->t_mono_ns);
    milestone.err_ms = static_cast<double>(back->clock_err_ns.value_or(0)) / 1e6;
    milestone.event = back->event_id;
    milestone.by = back->source;
  }
  return milestone;
}

}  // namespace

StepMilestones step_milestones(const Dossier& dossier, const Logs& logs, const StepView& step) {
  return {settled(dossier, logs, step), business_back(dossier, step)};
}

}  // namespace paceline::judge
