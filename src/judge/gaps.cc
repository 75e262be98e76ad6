#include "judge/gaps.h"

#include <algorithm>

#include "judge/ledger_check.h"

namespace paceline::judge {
namespace {

// A client may have begun to wait a little before the fault was observed.
constexpr int64_t kBeforeNs = 50'000'000;

int64_t sent_of(const Record& record) {
  if (!record.sent) return record.intended_ns;
  return record.intended_ns == 0 ? record.sent_ns : std::min(record.sent_ns, record.intended_ns);
}

// When the first record that had no acknowledgement at `at` was to be sent. Records by seq are in
// the order in which they were to be sent.
class Unanswered {
 public:
  explicit Unanswered(const std::vector<const Record*>& records) : records_(records) {}
  // REQUIRES: `at` never falls.
  const Record* at(int64_t at) {
    while (next_ < records_.size() && answered(*records_[next_], at)) ++next_;
    return next_ < records_.size() ? records_[next_] : nullptr;
  }

 private:
  static bool answered(const Record& record, int64_t at) {
    // What failed is an error, which is counted; it does not end a wait, nor does it hold one up.
    if (!record.acked()) return record.told && record.told_ns <= at;
    return record.told_ns <= at;
  }
  const std::vector<const Record*>& records_;
  size_t next_ = 0;
};

struct Window {
  int64_t from_ns = 0, to_ns = 0;
};

std::optional<Wait> longest_wait(const Player& stream, const Window& window) {
  std::optional<Wait> longest;
  Unanswered unanswered(stream.records);
  const auto consider = [&](const Record* last, const Record* first, int64_t to) {
    const Record* open = unanswered.at(last ? last->told_ns : INT64_MIN);
    if (!open) return;
    const int64_t from = last ? std::max(last->told_ns, sent_of(*open)) : sent_of(*open);
    if (to <= from || to < window.from_ns || from > window.to_ns) return;
    if (longest && to - from <= longest->to_ns - longest->from_ns) return;
    longest = Wait{&stream, from, to, last, first};
  };
  const Record* last = nullptr;
  for (const Record* record : stream.by_ack) {
    if (record->told_ns >= window.from_ns) consider(last, record, record->told_ns);
    if (record->told_ns > window.to_ns) return longest;
    last = record;
  }
  consider(last, nullptr, window.to_ns);  // nobody has answered any more
  return longest;
}

// Who acknowledged last before the step; nothing if the library does not tell.
void find_before(StepLog& step, int64_t until) {
  const Record* latest = nullptr;
  for (const auto& [client, stream] : step.log->streams) {
    const auto after = std::ranges::upper_bound(stream.by_ack, until, {}, &Record::told_ns);
    if (after == stream.by_ack.begin()) continue;
    const Record* record = *std::prev(after);
    if (!latest || record->told_ns > latest->told_ns) latest = record;
  }
  if (!latest) return;
  if (latest->broker >= 0) step.before = latest->broker;
  if (latest->epoch >= 0) step.epoch_before = latest->epoch;
}

bool is_new(const StepLog& step, const Record& record) {
  if (step.epoch_before && record.epoch > *step.epoch_before) return true;
  return step.before && record.broker >= 0 && record.broker != *step.before;
}

void find_change(StepLog& step, const Window& window) {
  for (const auto& [client, stream] : step.log->streams)
    for (auto at = std::ranges::lower_bound(stream.by_ack, window.from_ns, {}, &Record::told_ns);
         at != stream.by_ack.end() && (*at)->told_ns <= window.to_ns; ++at)
      if (is_new(step, **at)) {
        if (!step.first_new || (*at)->told_ns < step.first_new->told_ns) step.first_new = *at;
        break;
      }
  if (step.first_new && step.first_new->broker >= 0) step.after = step.first_new->broker;
}

// Where acknowledgements do not tell who gave them, or the same broker leads again, the longest
// wait is the change.
void take_wait_as_change(StepLog& step) {
  const Wait* longest = nullptr;
  for (const Wait& wait : step.waits)
    if (!wait.excepted && (!longest || wait.ms() > longest->ms())) longest = &wait;
  if (!longest) return;
  step.first_new = longest->first;
  if (longest->first && longest->first->broker >= 0) step.after = longest->first->broker;
}

void find_last_old(StepLog& step) {
  const int64_t until = step.first_new ? step.first_new->told_ns : step.step->last_ns;
  for (const auto& [client, stream] : step.log->streams)
    for (const Record* record : stream.by_ack) {
      if (record->told_ns >= until) break;
      if (step.before && record->broker >= 0 && record->broker != *step.before) continue;
      if (!step.last_old || record->told_ns > step.last_old->told_ns) step.last_old = record;
    }
}

// Each producer's first acknowledgement at or after t8.
void find_last_client(StepLog& step) {
  if (!step.first_new) return;
  int64_t last = step.first_new->told_ns;
  for (const Wait& wait : step.waits) {
    if (wait.excepted) continue;
    const auto& by_ack = wait.client->by_ack;
    const auto at = std::ranges::lower_bound(by_ack, step.first_new->told_ns, {}, &Record::told_ns);
    if (at == by_ack.end()) {
      if (!wait.first) return;
      continue;
    }
    last = std::max(last, (*at)->told_ns);
  }
  step.last_client_ns = last;
}

void find_waits(const Dossier& dossier, const std::vector<Frozen>& frozen, const Window& window,
                StepLog& step) {
  for (const Player& player : step.log->players) {
    if (dossier.run.clients[player.client].kind == "bystander") continue;
    if (auto wait = longest_wait(player, window)) step.waits.push_back(*wait);
  }
  for (const Frozen& time : frozen) {
    if (time.step != step.step) continue;
    // Of two producers of one partition, one was answered by somebody else meanwhile.
    const auto moved = [&](const Wait& wait) {
      return std::ranges::any_of(wait.client->by_ack, [&](const Record* record) {
        return record->told_ns >= time.from_ns && record->told_ns <= time.to_ns &&
               is_new(step, *record);
      });
    };
    if (!std::ranges::any_of(step.waits, moved)) continue;
    for (Wait& wait : step.waits) wait.excepted = !moved(wait);
  }
}

// By leadership: it was led by what failed, or somebody else leads it afterwards.
bool is_concerned(const StepLog& step) {
  if (step.before && step.step->about(*step.before)) return true;
  return step.first_new != nullptr;
}

// Without the word of acknowledgements: a watcher saw another leader or a later epoch meanwhile.
bool seen_to_move(const Dossier& dossier, const StepLog& step, const Window& window) {
  const auto events =
      dossier.of_partition.find({dossier.run.topics[step.log->topic].name, step.log->partition});
  if (events == dossier.of_partition.end()) return false;
  std::optional<int64_t> leader, epoch;
  for (const evidence::Event* event : events->second) {
    if (event->type != "leader.seen" || event->t_mono_ns > window.to_ns) continue;
    const auto seen = event->integer("leader");
    const bool other = leader && seen && *seen != *leader;
    const bool later = epoch && event->leader_epoch && *event->leader_epoch > *epoch;
    if (event->t_mono_ns >= window.from_ns && (other || later)) return true;
    if (seen) leader = seen;
    if (event->leader_epoch) epoch = std::max<int64_t>(epoch.value_or(-1), *event->leader_epoch);
  }
  return false;
}

}  // namespace

std::vector<StepLog> step_logs(const Dossier& dossier, const Logs& logs) {
  std::vector<StepLog> steps;
  const std::vector<Frozen> frozen = frozen_times(dossier);
  for (const StepView& view : dossier.steps) {
    if (!view.effective) continue;
    const int64_t t0 = view.effective->t_mono_ns;
    const Window window{std::min(t0 - kBeforeNs, view.from_ns()), std::max(view.last_ns, t0)};
    for (const auto& [key, log] : logs) {
      if (log.players.empty() || dossier.run.topics[key.first].role == "bystander") continue;
      StepLog step;
      step.step = &view;
      step.log = &log;
      find_before(step, window.from_ns);
      find_change(step, window);
      step.concerned = is_concerned(step) || seen_to_move(dossier, step, window);
      find_waits(dossier, frozen, window, step);
      if (step.concerned && !step.first_new) take_wait_as_change(step);
      find_last_old(step);
      find_last_client(step);
      if (!step.waits.empty() || step.concerned) steps.push_back(std::move(step));
    }
  }
  return steps;
}

}  // namespace paceline::judge
