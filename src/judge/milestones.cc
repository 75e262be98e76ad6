#include "judge/milestones.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::judge {
namespace {

using evidence::Event;

Milestone missing(Milestone::State state, std::string why) {
  Milestone milestone;
  milestone.state = state;
  milestone.by = std::move(why);
  return milestone;
}

class PartitionMilestones {
 public:
  PartitionMilestones(const Dossier& dossier, const StepLog& log)
      : dossier_(dossier), log_(log), step_(*log.step) {
    const auto events =
        dossier.of_partition.find({dossier.run.topics[log.log->topic].name, log.log->partition});
    if (events == dossier.of_partition.end()) return;
    for (const Event* event : events->second) {
      if (event->type == "leader.seen" && event->t_mono_ns < step_.from_ns() && event->leader_epoch)
        epoch_before_ = std::max(epoch_before_.value_or(-1), *event->leader_epoch);
      own_.push_back(event);
    }
    // Of few partitions that moved, each is told; the cause joins it with the rest of its move.
    for (const Event* event : own_)
      if (cause_.empty() && in_window(*event) && !event->cause_id.empty() &&
          (event->type == "leader.moved" || event->type == "partition.first_served"))
        cause_ = event->cause_id;
  }

  Milestones all(const StepMilestones& shared) {
    Milestones result;
    result[0] = told(*step_.effective, Milestone::State::observed);
    result[1] = log_.last_old ? seen(log_.last_old->told_ns, "ledger")
                              : missing(Milestone::State::never, "no acknowledgement before");
    // Whoever tells from outside what was noticed promises nothing of moves that nobody has to
    // notice.
    const bool planned = step_.plan->planned;
    result[2] =
        target_told(planned && dossier_.run.target.external_only ? "" : "t2",
                    {planned ? "move.begun" : "broker.noticed", planned ? "broker.draining" : ""});
    result[3] = committed();
    result[4] = target_told("t4", {"lane.sealed", "move.adopted"});
    result[5] = target_told("t5", {"lane.recovered", "move.adopted"});
    result[6] = answering();
    result[7] = first_seen();
    result[8] = log_.first_new ? seen(log_.first_new->told_ns, "ledger")
                               : missing(Milestone::State::never, "nobody acknowledged any more");
    result[9] = log_.last_client_ns
                    ? seen(*log_.last_client_ns, "ledger")
                    : missing(Milestone::State::never, "a client was not answered again");
    result[10] = consumed();
    result[11] = shared.settled;
    result[12] = shared.business;
    result[13] = left_over();
    return result;
  }

 private:
  int64_t t0() const { return step_.effective->t_mono_ns; }
  // Others may notice before the drill does, and a planned step begins with its command.
  bool in_window(const Event& event) const {
    const int64_t err = event.clock_err_ns.value_or(0) + step_.effective->clock_err_ns.value_or(0);
    return event.t_mono_ns >= step_.from_ns() - err - kEarlyNs && event.t_mono_ns <= step_.last_ns;
  }

  Milestone told(const Event& event, Milestone::State state) const {
    Milestone milestone;
    milestone.state = state;
    milestone.ms = dossier_.ms(event.t_mono_ns);
    if (event.clock_err_ns) milestone.err_ms = static_cast<double>(*event.clock_err_ns) / 1e6;
    milestone.event = event.event_id;
    milestone.by = event.source;
    return milestone;
  }
  Milestone seen(int64_t at_ns, const char* by) const {
    Milestone milestone;
    milestone.state = Milestone::State::observed;
    milestone.ms = dossier_.ms(at_ns);
    milestone.err_ms = 0.0;
    milestone.by = by;
    return milestone;
  }

  // Is it about what happened to this partition?
  bool is_ours(const Event& event) const {
    if (!event.topic.empty() && event.partition)
      return event.topic == dossier_.run.topics[log_.log->topic].name &&
             *event.partition == log_.log->partition;
    if (!cause_.empty() && event.cause_id == cause_) return true;
    if (const auto broker = broker_of_lane(event.lane)) return step_.about(*broker);
    if (event.type == "broker.draining") {
      const auto broker = broker_of_lane(event.source);
      return broker && step_.about(*broker);
    }
    if (const auto broker = broker_of_lane(event.cause_id)) return step_.about(*broker);
    // What goes back after a fault was healed is another thing.
    if (event.cause_id.starts_with("move-")) return step_.plan->planned && cause_.empty();
    return event.source == "hook";
  }
  // The new leader's own word is better than that of another successor.
  bool by_new_leader(const Event& event) const {
    return log_.after && broker_of_lane(event.source) == log_.after;
  }

  // The first event of the first of these types that there is.
  const Event* find(std::initializer_list<std::string_view> types) const {
    for (const std::string_view type : types) {
      const Event* best = nullptr;
      if (type.empty()) continue;
      for (const Event* event : dossier_.all(type)) {
        if (!in_window(*event) || !is_ours(*event)) continue;
        const bool better =
            !best || by_new_leader(*event) > by_new_leader(*best) ||
            (by_new_leader(*event) == by_new_leader(*best) && event->t_mono_ns < best->t_mono_ns);
        if (better) best = event;
      }
      if (best) return best;
    }
    return nullptr;
  }

  bool observes(std::string_view name) const {
    return std::ranges::find(dossier_.run.target.observes, name) !=
           dossier_.run.target.observes.end();
  }

  Milestone target_told(const char* name, std::initializer_list<std::string_view> types) const {
    if (const Event* event = find(types)) return told(*event, Milestone::State::observed);
    if (observes(name)) return missing(Milestone::State::never, "the target did not tell it");
    return missing(Milestone::State::not_observable, "the target does not tell it");
  }

  // Who asks brokers for metadata saw another leader, or a later epoch.
  const Event* first_leader_seen(bool by_epoch) const {
    for (const Event* event : own_) {
      if (event->type != "leader.seen" || !in_window(*event)) continue;
      const bool later =
          event->leader_epoch && (!epoch_before_ || *event->leader_epoch > *epoch_before_);
      const auto leader = event->integer("leader");
      const bool other = leader && log_.before && *leader >= 0 && *leader != *log_.before;
      if (by_epoch && epoch_before_ ? later : (later || other)) return event;
    }
    return nullptr;
  }
  bool is_watched() const { return dossier_.first("leader.seen") != nullptr; }

  Milestone committed() const {
    if (const Event* event = find({"broker.fenced", "move.committed"}))
      return told(*event, Milestone::State::observed);
    if (const Event* event = first_leader_seen(true))
      return told(*event, Milestone::State::upper_bound);
    if (is_watched()) return missing(Milestone::State::never, "no later epoch was seen");
    return missing(Milestone::State::not_observable, "nobody watched the metadata");
  }

  Milestone answering() const {
    if (const Event* event = find({"partition.serving"}))
      return told(*event, Milestone::State::observed);
    for (const Event* event : own_)
      if (event->type == "broker.answers" && in_window(*event))
        return told(*event, Milestone::State::observed);
    if (dossier_.first("broker.answers") || observes("t6"))
      return missing(Milestone::State::never, "the new leader was not seen to serve it");
    return missing(Milestone::State::not_observable, "nobody asked the new leader itself");
  }

  Milestone first_seen() const {
    if (const Event* event = first_leader_seen(false))
      return told(*event, Milestone::State::observed);
    if (is_watched()) return missing(Milestone::State::never, "no client saw another leader");
    return missing(Milestone::State::not_observable, "nobody watched the metadata");
  }

  // A consumer is past the end as of t0.
  Milestone consumed() const {
    if (log_.log->reads.empty())
      return missing(Milestone::State::not_observable, "no consumer reads it");
    int64_t end = -1;
    for (const auto& [client, stream] : log_.log->streams)
      for (const Record* record : stream.by_ack) {
        if (record->told_ns > t0()) break;
        end = std::max(end, record->offset);
      }
    for (const Read& read : log_.log->reads)
      if (read.at_ns >= t0() && read.offset > end) return seen(read.at_ns, "ledger");
    return missing(Milestone::State::never, "no consumer came past the end as of the fault");
  }

  // While the step was observed and healed, or in the end of the run.
  bool looks_at_what_is_left(const Event& event) const {
    if (event.t_mono_ns < t0()) return false;
    const bool during = event.word("when") == "during" && event.t_mono_ns <= step_.last_ns;
    return (during || event.word("when") == "after") &&
           (event.integer("reassigning") || event.integer("replicas_out_of_sync"));
  }

  Milestone left_over() const {
    if (const Event* event = find({"lane.collected", "move.ended"}))
      return told(*event, Milestone::State::observed);
    // The first look from which on nobody has found any more.
    int64_t found_ns = t0() - 1;
    std::vector<const Event*> clean;
    bool told_at_all = false;
    for (const Event* event : dossier_.all("storage.snapshot")) {
      if (!looks_at_what_is_left(*event)) continue;
      told_at_all = true;
      if (event->integer("reassigning").value_or(0) == 0 &&
          event->integer("replicas_out_of_sync").value_or(0) == 0) {
        clean.push_back(event);
      } else {
        found_ns = std::max(found_ns, event->t_mono_ns);
      }
    }
    std::erase_if(clean, [&](const Event* event) { return event->t_mono_ns <= found_ns; });
    if (!clean.empty())
      return told(**std::ranges::min_element(clean, {}, &Event::t_mono_ns),
                  Milestone::State::upper_bound);
    if (told_at_all || observes("t13"))
      return missing(Milestone::State::never, "work was left over in the end");
    return missing(Milestone::State::not_observable, "the target does not tell its storage work");
  }

  // Of clocks that nobody has measured.
  static constexpr int64_t kEarlyNs = 1'000'000;

  const Dossier& dossier_;
  const StepLog& log_;
  const StepView& step_;
  std::vector<const Event*> own_;
  std::string cause_;
  std::optional<int32_t> epoch_before_;
};

}  // namespace

Milestones milestones_of(const Dossier& dossier, const StepLog& log, const StepMilestones& shared) {
  if (!log.concerned) return {};
  return PartitionMilestones(dossier, log).all(shared);
}

}  // namespace paceline::judge
