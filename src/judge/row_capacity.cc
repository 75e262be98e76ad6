#include <algorithm>
#include <set>

#include "judge/scorecard.h"
#include "judge/settling.h"

// A broker that comes back owns nothing, like one that is new: how soon does it help?

namespace paceline::judge {
namespace {

using Key = std::pair<std::string, int32_t>;

// A broker that came back during a step, and until when what it gets is the cluster's own doing.
struct Return {
  const StepView* step;
  int32_t broker;
  int64_t at_ns;
  int64_t until_ns;  // then the drill gave leaders back itself, or looked no more
  std::string event;
};

// How many partitions of the load each broker leads, as watchers see it, change by change.
class Leaders {
 public:
  explicit Leaders(const Dossier& dossier) {
    for (const auto& topic : dossier.run.topics) ours_.insert(topic.name);
  }
  // False: nothing has changed.
  bool see(const evidence::Event& event) {
    const auto leader = event.number("leader");
    if (!leader || !event.partition || !ours_.contains(event.topic)) return false;
    Term& term = terms_[Key(event.topic, *event.partition)];
    const int32_t epoch = event.leader_epoch.value_or(term.epoch);
    if (epoch < term.epoch || static_cast<int32_t>(*leader) == term.leader) return false;
    if (term.leader >= 0) --led_[term.leader];
    term = {static_cast<int32_t>(*leader), epoch};
    ++led_[term.leader];
    return true;
  }
  int64_t led_by(int32_t broker) const {
    const auto found = led_.find(broker);
    return found == led_.end() ? 0 : found->second;
  }
  size_t partitions() const { return terms_.size(); }

 private:
  struct Term {
    int32_t leader = -1, epoch = -1;
  };
  std::set<std::string, std::less<>> ours_;
  std::map<Key, Term> terms_;
  std::map<int32_t, int64_t> led_;
};

// When the drill began to give leaders back by its own hand.
int64_t given_back_ns(const Dossier& dossier, const StepView& step) {
  for (const evidence::Event* event : dossier.all("rollback.done"))
    if (event->t_mono_ns >= step.from_ns() && event->t_mono_ns <= step.last_ns &&
        event->number("asked").value_or(0) > 0)
      return event->t_mono_ns - static_cast<int64_t>(event->value.value_or(0) * 1e6);
  return step.last_ns;
}

// Its own word where it has one, else the command that starts it again.
std::optional<Return> return_of(const Dossier& dossier, const StepView& step, int32_t broker) {
  const evidence::Event* back = step.heal_commanded;
  for (const evidence::Event* event : dossier.all("broker.joined")) {
    if (broker_of_lane(event->source) != broker || event->t_mono_ns < step.effective->t_mono_ns ||
        event->t_mono_ns > step.last_ns)
      continue;
    back = event;
    break;
  }
  if (!back) return std::nullopt;
  return Return{&step, broker, back->t_mono_ns, given_back_ns(dossier, step), back->event_id};
}

std::vector<Return> returns_of(const Dossier& dossier) {
  std::vector<Return> all;
  for (const StepView& step : dossier.steps) {
    if (!step.effective || step.plan->planned) continue;
    for (const int32_t broker : step.brokers)
      if (auto one = return_of(dossier, step, broker)) all.push_back(std::move(*one));
  }
  return all;
}

struct Helped {
  int64_t goal = 0;  // partitions: what it led before, at most a fair share; 0: nothing was taken
  std::optional<int64_t> first_ns, share_ns;
  std::vector<std::string> events;
};

// A share is fair from a tenth below it on, or one partition.
int64_t fair(size_t partitions, size_t brokers) {
  const double even = static_cast<double>(partitions) / static_cast<double>(brokers);
  return static_cast<int64_t>(even - std::max(1.0, even / 10)) + 1;
}

Helped helped(const Dossier& dossier, const Return& one) {
  Leaders leaders(dossier);
  Helped result;
  result.events.push_back(one.event);
  int64_t before = 0;
  bool taken = false;
  for (const evidence::Event* event : dossier.all("leader.seen")) {
    if (event->t_mono_ns > one.until_ns) break;
    if (event->t_mono_ns < one.step->from_ns()) {
      leaders.see(*event);
      before = leaders.led_by(one.broker);
      continue;
    }
    if (result.goal == 0)
      result.goal = std::min(before, fair(leaders.partitions(),
                                          std::max<size_t>(dossier.run.target.brokers.size(), 1)));
    if (!leaders.see(*event)) continue;
    taken |= leaders.led_by(one.broker) < result.goal;
    if (event->t_mono_ns < one.at_ns) continue;
    if (!result.first_ns && event->number("leader") == one.broker) {
      result.first_ns = event->t_mono_ns;
      result.events.push_back(event->event_id);
    }
    if (!result.share_ns && result.first_ns && leaders.led_by(one.broker) >= result.goal) {
      result.share_ns = event->t_mono_ns;
      result.events.push_back(event->event_id);
    }
  }
  if (!taken) result.goal = 0;
  return result;
}

// The worst of all returns: how long it took, or how long it had not happened when the drill gave
// leaders back itself.
class Wait {
 public:
  Wait(const Limits& limits, std::string_view name) : limits_(limits), name_(name) {}

  // `until_ns`: how long it was waited for what was not reached.
  void add(int64_t from_ns, std::optional<int64_t> reached_ns, int64_t until_ns,
           const std::vector<std::string>& events) {
    const int64_t lasted = reached_ns.value_or(until_ns) - from_ns;
    const double ms = static_cast<double>(std::max<int64_t>(lasted, 0)) / 1e6;
    ++count_;
    if (!reached_ns && (!missed_ms_ || ms > *missed_ms_)) missed_ms_ = ms;
    if (reached_ns && (!took_ms_ || ms > *took_ms_)) took_ms_ = ms;
    events_.insert(events_.end(), events.begin(), events.end());
  }

  // What had not happened is at least as bad as the time that was given it; nobody knows how bad.
  Figure figure() && {
    Figure result = limits_.judge(name_, took_ms_, count_ ? std::optional(count_) : std::nullopt);
    if (missed_ms_) {
      const double ms = *missed_ms_;
      result.value = std::max(ms, took_ms_.value_or(0));
      const State missed = limits_.at_least(name_, ms);
      result.state = took_ms_ ? worse(result.state, missed) : missed;
      result.green += ", by the cluster itself";
    }
    result.events = std::move(events_);
    return result;
  }

 private:
  const Limits& limits_;
  std::string_view name_;
  uint64_t count_ = 0;
  std::optional<double> took_ms_, missed_ms_;
  std::vector<std::string> events_;
};

// From its return until a partition's p99 is what it was.
std::optional<int64_t> settled_ns(const Score& score, const Return& one) {
  double last = -1e18;
  for (const PartitionRow& partition : score.report.partitions) {
    if (!partition.concerned || partition.step != one.step->plan->id) continue;
    const Milestone& settled = partition.milestones[11];
    if (!settled.known()) return std::nullopt;
    last = std::max(last, *settled.ms);
  }
  return score.dossier.zero_ns + static_cast<int64_t>(std::max(last, 0.0) * 1e6);
}

}  // namespace

Row capacity_row(const Score& score) {
  Row row;
  row.id = "capacity";
  row.question = "Did added capacity help soon?";
  Wait first(score.limits, "first_leader_ms"), share(score.limits, "fair_share_ms"),
      settled(score.limits, "settled_ms");
  bool any = false;
  for (const Return& one : returns_of(score.dossier)) {
    const Helped result = helped(score.dossier, one);
    if (result.goal == 0) continue;
    any = true;
    first.add(one.at_ns, result.first_ns, one.until_ns, result.events);
    share.add(one.at_ns, result.share_ns, one.until_ns, result.events);
    settled.add(one.at_ns, settled_ns(score, one), one.step->last_ns, {one.event});
  }
  if (!any) {
    row.why = "no broker was added, or came back, under load in this run";
    return row;
  }
  row.figures.push_back(std::move(first).figure());
  row.figures.push_back(std::move(share).figure());
  row.figures.push_back(std::move(settled).figure());
  row.figures.back().required = false;  // a short run does not see it
  row.figures.push_back(history_copied(score));
  settle(row);
  return row;
}

}  // namespace paceline::judge
