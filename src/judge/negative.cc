#include "judge/negative.h"

#include <fmt/format.h>

#include <algorithm>

#include "judge/groups.h"
#include "judge/stats.h"

namespace paceline::judge {
namespace {

using evidence::Event;

class NegativeTests {
 public:
  explicit NegativeTests(const Score& score) : score_(score) {}

  NegativeTest remove_a_broker() {
    return each("N1", "remove a broker", "kill p99 <= 5 s, drain p99 <= 0.5 s, no promise broken",
                "a broken promise, or more than twice as long",
                [this](const StepView& step, NegativeTest& test) {
                  add_gap(step, step.plan->planned ? "gap_planned_ms" : "gap_unplanned_ms", test);
                  add_promises(test);
                });
  }

  NegativeTest cut_a_zone() {
    return each("N2", "cut a zone path", "gap <= 10 s, no leader in the zone after 15 s", "> 30 s",
                [this](const StepView& step, NegativeTest& test) {
                  add_gap(step, "zone_gap_ms", test);
                  add(score_.limits.judge("zone_leaders_ms", leaders_in_zone_ms(step)), test);
                  add_promises(test);
                });
  }

  NegativeTest slow_storage() {
    return each("N3", "slow storage", "p99 <= what was added + 2 x baseline, bystanders as before",
                "bystanders 50 % slower", [this](const StepView& step, NegativeTest& test) {
                  const double added = step.effective->number("added_ms").value_or(0);
                  const auto of = [&](bool bystanders, double less) {
                    return slower(step, bystanders, less);
                  };
                  add(score_.limits.judge("slow_ratio", of(false, added)), test);
                  add(score_.limits.judge("bystanders_ratio", of(true, 0)), test);
                  if (const auto grown = memory_grown(step))
                    add(score_.limits.judge("memory_grown_bytes", grown), test);
                  add_promises(test);
                });
  }

  NegativeTest refresh_storm() {
    return each(
        "N4", "client refresh storm", "<= 2 s, at most one rebalance a group",
        "> 10 s, or a lost group", [this](const StepView& step, NegativeTest& test) {
          std::optional<double> took;
          uint64_t clients = 0;
          double lost = 0;
          for (const Event* event : within("refresh.done", step)) {
            if (event->value) took = std::max(took.value_or(0), *event->value);
            clients +=
                static_cast<uint64_t>(std::max<int64_t>(0, event->integer("clients").value_or(0)));
            lost += event->number("lost").value_or(0);
            test.events.push_back(event->event_id);
          }
          add(score_.limits.judge("refresh_ms", took, clients), test);
          if (took) add(score_.limits.judge("clients_lost", lost, clients), test);
          const GroupLosses losses = group_losses(score_.dossier);
          if (!losses.any) return;
          add(score_.limits.judge("rebalances", static_cast<double>(losses.rebalances_max)), test);
          add(score_.limits.judge("groups_lost", static_cast<double>(losses.lost.size())), test);
          add(score_.limits.judge("members_gone", static_cast<double>(losses.gone.size())), test);
        });
  }

  NegativeTest frozen_control_plane() {
    return each("N5", "freeze the control plane", "noticed within 15 s, taken over within 60 s",
                "silence", [this](const StepView& step, NegativeTest& test) {
                  std::optional<double> noticed;
                  for (const PartitionRow& row : score_.report.partitions)
                    if (row.step == step.plan->id && row.milestones[2].known())
                      noticed = std::max(noticed.value_or(0),
                                         *row.milestones[2].ms - *row.milestones[0].ms);
                  add(score_.limits.judge("alert_ms", noticed), test);
                  add_gap(step, "takeover_ms", test);
                });
  }

  NegativeTest zombie() {
    return each("N6", "zombie", "0 acknowledgements after the fence", "any",
                [this](const StepView&, NegativeTest& test) { add_promises(test); });
  }

  NegativeTest clean_up() {
    NegativeTest test{"N7",
                      "clean-up with a wrong topology",
                      State::grey,
                      "did not run",
                      "refused with a list",
                      "executed",
                      {}};
    if (!planned("N7")) return test;
    const auto& refused = score_.dossier.all("cleanup.refused");
    const auto& done = score_.dossier.all("cleanup.done");
    const auto& named = !refused.empty() ? refused : done;
    for (const Event* event : named) test.events.push_back(event->event_id);
    if (const Event* gone = score_.dossier.first("topic.gone")) {
      test.state = State::red;
      test.measured = fmt::format("executed: {} is gone", gone->topic);
      test.events.push_back(gone->event_id);
    } else if (!refused.empty()) {
      const bool list = !refused.front()->word("why").empty();
      test.state = list ? State::green : State::amber;
      test.measured = fmt::format("refused: {}", list ? refused.front()->word("why") : "no list");
    } else if (!done.empty()) {
      test.state = State::red;
      test.measured = "executed";
    } else {
      test.measured = "was not asked for";
    }
    return test;
  }

  NegativeTest sabotage(State would_be) {
    const std::string& what = score_.dossier.run.target.sabotage;
    NegativeTest test{"N8",
                      "sabotage self-test",
                      State::grey,
                      "did not run",
                      "the drill is red",
                      "the drill is not red",
                      {}};
    if (what.empty()) return test;
    test.state = would_be == State::red ? State::green : State::red;
    test.measured = fmt::format("falsified ({}): the verdict is {}", what, name_of(would_be));
    return test;
  }

 private:
  template <class Judge>
  NegativeTest each(const char* id, const char* name, const char* green, const char* red,
                    Judge judge) {
    NegativeTest test{id, name, State::grey, "did not run", green, red, {}};
    bool any = false;
    for (const StepView& step : score_.dossier.steps) {
      if (step.plan->test != id) continue;
      if (!step.effective) {
        test.measured = "the fault did not take effect";
        if (step.not_effective) test.events.push_back(step.not_effective->event_id);
        continue;
      }
      if (!any) {
        test.state = State::green;
        test.measured.clear();
      }
      any = true;
      test.events.push_back(step.effective->event_id);
      judge(step, test);
    }
    return test;
  }
  bool planned(std::string_view id) const {
    return std::ranges::any_of(score_.dossier.run.plan.steps,
                               [&](const auto& step) { return step.test == id; });
  }

  void add(const Figure& figure, NegativeTest& test) const {
    test.state = worse(test.state, figure.state);
    if (!test.measured.empty()) test.measured += "; ";
    test.measured += fmt::format(
        "{} {}", figure.name,
        figure.value ? in_words(*figure.value, figure.unit) : std::string("not observed"));
    if (figure.samples) test.measured += fmt::format(" (N {})", *figure.samples);
  }
  void add_gap(const StepView& step, const char* limit, NegativeTest& test) const {
    for (const StepRow& row : score_.report.steps)
      if (row.id == step.plan->id) {
        Figure figure = score_.limits.judge(limit, row.gap.worst(), row.gap.samples);
        figure.name += row.gap.p99 ? ", p99" : ", max";
        add(figure, test);
      }
  }
  void add_promises(NegativeTest& test) const {
    const Report& report = score_.report;
    std::optional<double> broken;
    if (report.counts.lost)
      broken = static_cast<double>(report.anomalies.size() + *report.counts.lost +
                                   report.counts.duplicated);
    add(score_.limits.judge("anomalies", broken, report.counts.acked), test);
  }

  std::vector<const Event*> within(std::string_view type, const StepView& step) const {
    std::vector<const Event*> found;
    for (const Event* event : score_.dossier.all(type))
      if (event->t_mono_ns >= step.began_ns.value_or(0) && event->t_mono_ns <= step.last_ns)
        found.push_back(event);
    return found;
  }

  // Until when brokers of the zone acknowledged, since the fault, and before it was taken back.
  std::optional<double> leaders_in_zone_ms(const StepView& step) const {
    if (step.brokers.empty()) return std::nullopt;
    const int64_t t0 = step.effective->t_mono_ns;
    const int64_t until = step.heal_commanded ? step.heal_commanded->t_mono_ns : step.end_ns;
    bool told = false;
    double latest = 0;
    for (const auto& [key, log] : score_.logs)
      for (const auto& [client, stream] : log.streams)
        for (const Record* record : stream.by_ack) {
          told |= record->broker >= 0;
          if (record->told_ns < t0 || record->told_ns > until || !step.about(record->broker))
            continue;
          latest = std::max(latest, static_cast<double>(record->told_ns - t0) / 1e6);
        }
    return told ? std::optional(latest) : std::nullopt;
  }

  // What brokers had in memory at most, beyond what they had when the baseline ended.
  std::optional<double> memory_grown(const StepView& step) const {
    std::optional<double> before, most;
    for (const Event* event : score_.dossier.all("storage.snapshot")) {
      const auto bytes = event->number("memory_bytes");
      if (!bytes || event->t_mono_ns > step.end_ns) continue;
      if (event->t_mono_ns < step.from_ns()) {
        if (event->word("when") == "before") before = bytes;
      } else {
        most = std::max(most.value_or(0), *bytes);
      }
    }
    if (!before || !most) return std::nullopt;
    return std::max(0.0, *most - *before);
  }

  // The p99 (or max) of a step, less what was added, as a multiple of the baseline's.
  std::optional<double> slower(const StepView& step, bool bystanders, double less_ms) const {
    std::vector<double> before, during;
    const Dossier& dossier = score_.dossier;
    for (const auto& [key, log] : score_.logs)
      for (const auto& [client, stream] : log.streams) {
        if ((dossier.run.clients[client].kind == "bystander") != bystanders) continue;
        for (const Record* record : stream.by_ack) {
          const double took = static_cast<double>(record->told_ns - record->intended_ns) / 1e6;
          if (record->intended_ns < dossier.baseline_to_ns) {
            before.push_back(took);
          } else if (record->intended_ns >= step.effective->t_mono_ns &&
                     record->intended_ns < step.end_ns) {
            during.push_back(took);
          }
        }
      }
    const auto base = quantiles_of(std::move(before)).worst();
    const auto slow = quantiles_of(std::move(during)).worst();
    if (!base || !slow || *base <= 0) return std::nullopt;
    return std::max(0.0, *slow - less_ms) / *base;
  }

  const Score& score_;
};

}  // namespace

std::vector<NegativeTest> negative_tests(const Score& score, State would_be) {
  NegativeTests tests(score);
  return {tests.remove_a_broker(), tests.cut_a_zone(),           tests.slow_storage(),
          tests.refresh_storm(),   tests.frozen_control_plane(), tests.zombie(),
          tests.clean_up(),        tests.sabotage(would_be)};
}

}  // namespace paceline::judge
