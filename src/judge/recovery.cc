#include "judge/recovery.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace paceline::judge {
namespace {

using evidence::Event;

// What one object store charges: the defaults of docs/prices.properties.
constexpr const char* kPrices = "docs/prices.properties";
constexpr double kUsdPerPut = 0.005 / 1000;
constexpr double kUsdPerGet = 0.0004 / 1000;
constexpr double kUsdPerList = 0.005 / 1000;

// A tail grows between when it is measured and when it ends.
constexpr double kTailSlack = 1.2;
// Groups of a log are padded to blocks; below it no ratio says anything.
constexpr int64_t kTailLeast = 1 << 20;
constexpr int64_t kLogPageBytes = 4096;
constexpr int64_t kGroupsMost = int64_t{1} << 40;

void add(std::optional<int64_t>& sum, std::optional<int64_t> more) {
  constexpr int64_t kMost = int64_t{1} << 60;
  if (more) sum = std::clamp(sum.value_or(0) + *more, -kMost, kMost);
}

// Of a fault's lane, not of brokers that restarted for other reasons.
bool of_a_fault(const Dossier& dossier, const Event& event) {
  const auto broker = broker_of_lane(event.lane.empty() ? event.cause_id : event.lane);
  for (const StepView& step : dossier.steps)
    if (step.effective && event.t_mono_ns >= step.effective->t_mono_ns - 1'000'000'000 &&
        (!broker || step.about(*broker)))
      return true;
  return false;
}

std::optional<int64_t> growth(const Event* before, const Event* after, const char* name) {
  if (!before || !after) return std::nullopt;
  const auto from = before->integer(name);
  const auto to = after->integer(name);
  return from && to ? std::optional(*to - *from) : std::nullopt;
}

const Event* snapshot(const Dossier& dossier, std::string_view when) {
  const Event* found = nullptr;
  for (const Event* event : dossier.all("storage.snapshot"))
    if (event->word("when") == when && (!found || when == "after")) found = event;
  return found;
}

class RecoveryWork {
 public:
  explicit RecoveryWork(const Dossier& dossier)
      : dossier_(dossier),
        before_(snapshot(dossier, "before")),
        after_(snapshot(dossier, "after")) {}

  Recovery all() {
    tails();
    for (const Event* event : dossier_.all("lane.recovered")) recovered(*event);
    for (const char* type : {"lane.uploaded", "move.adopted"})
      for (const Event* event : dossier_.all(type)) written(*event);
    replicas();
    if (after_) {
      work_.orphans = after_->integer("orphans");
      work_.events.push_back(after_->event_id);
      if (work_.orphans) told("orphans", *after_);
    }
    if (!work_.requests_list) {
      work_.requests_list = growth(before_, after_, "requests_list");
      if (work_.requests_list) told("requests_list", *before_, *after_);
    }
    price();
    return work_;
  }

 private:
  template <class... Events>
  void told(const char* field, const Events&... events) {
    auto& of = work_.events_of[field];
    for (const std::string* id : {&events.event_id...})
      if (std::ranges::find(of, *id) == of.end()) of.push_back(*id);
  }

  // What of each lane was in no object yet when it was sealed; else what the target told before.
  void tails() {
    for (const Event* event : dossier_.all("lane.sealed")) {
      if (!of_a_fault(dossier_, *event)) continue;
      const auto end = event->integer("end_position");
      const auto uploaded = event->integer("uploaded_position");
      if (!end || !uploaded || *end < *uploaded) continue;
      tail_of_[event->lane] = std::max(tail_of_[event->lane], *end - *uploaded);
      told("unuploaded_bytes", *event);
    }
    for (const auto& [lane, tail] : tail_of_) add(work_.unuploaded_bytes, tail);
    if (work_.unuploaded_bytes || !before_) return;
    work_.unuploaded_bytes = before_->integer("unuploaded_bytes");
    if (work_.unuploaded_bytes) told("unuploaded_bytes", *before_);
  }

  void recovered(const Event& event) {
    if (!of_a_fault(dossier_, event)) return;
    const auto bytes = event.integer("bytes");
    const auto log = event.integer("log_bytes");
    add(work_.bytes_read, bytes);
    if (bytes) told("bytes_read", event);
    add(work_.log_bytes_read, log ? log : bytes);
    const auto tail = tail_of_.find(event.lane);
    // A group of a log in files is no request of a store. Positions there count bytes, a page for
    // each group at least; those of a log in objects count its slots.
    const int64_t groups =
        std::clamp<int64_t>(event.integer("log_groups").value_or(0), 0, kGroupsMost);
    const bool in_files = tail != tail_of_.end() && tail->second >= groups * kLogPageBytes;
    const auto requests = event.integer("requests");
    if (requests) told("requests_get", event);
    add(work_.requests_get,
        requests && in_files ? std::max<int64_t>(0, *requests - groups) : requests);
    add(work_.streams, event.integer("streams"));
    work_.events.push_back(event.event_id);
    const auto known =
        tail != tail_of_.end() ? std::optional(tail->second) : work_.unuploaded_bytes;
    if (bytes && known) beyond(log.value_or(*bytes), *known, event);
  }

  void written(const Event& event) {
    const bool move = event.type == "move.adopted";
    if (move ? !in_a_step(event) : !of_a_fault(dossier_, event)) return;
    const auto bytes = event.integer("bytes");
    add(work_.bytes_written, bytes);
    if (bytes) told("bytes_written", event);
    add(work_.requests_put, event.integer("requests"));
    if (event.integer("requests")) told("requests_put", event);
    work_.events.push_back(event.event_id);
    // A move gives its tail along, and nothing that is in objects already. An upload tells of the
    // whole object: what the heir was given meanwhile is in it as well, and no history.
    if (!move) return;
    if (all_planned()) {
      add(work_.historical_bytes_copied, 0);
      told("historical_bytes_copied", event);
    }
    const auto tail = tail_of_.find(event.lane);
    if (bytes && tail != tail_of_.end()) beyond(*bytes, tail->second, event);
  }

  // Not the canary's.
  bool in_a_step(const Event& event) const {
    return std::ranges::any_of(dossier_.steps, [&](const StepView& step) {
      return step.began_ns && event.t_mono_ns >= *step.began_ns && event.t_mono_ns <= step.last_ns;
    });
  }
  bool all_planned() const {
    return std::ranges::all_of(dossier_.steps,
                               [](const StepView& step) { return step.plan->planned; });
  }

  template <class... Events>
  void beyond(int64_t bytes, int64_t tail, const Events&... events) {
    told("historical_bytes_copied", events...);
    const double allowed = static_cast<double>(std::max(tail, kTailLeast)) * kTailSlack;
    const double more = static_cast<double>(bytes) - allowed;
    add(work_.historical_bytes_copied, more > 0 ? static_cast<int64_t>(more) : 0);
  }

  // Elsewhere: logs grew by more than what was produced.
  void replicas() {
    const auto grown = growth(before_, after_, "log_bytes");
    const auto produced = growth(before_, after_, "produced_bytes");
    if (grown && produced) beyond(*grown, *produced, *before_, *after_);
  }

  void price() {
    work_.prices = kPrices;
    if (!work_.requests_get && !work_.requests_put && !work_.requests_list) return;
    const double usd = static_cast<double>(work_.requests_get.value_or(0)) * kUsdPerGet +
                       static_cast<double>(work_.requests_put.value_or(0)) * kUsdPerPut +
                       static_cast<double>(work_.requests_list.value_or(0)) * kUsdPerList;
    work_.usd = std::round(usd * 1e9) / 1e9;
    std::vector<std::string> events;
    for (const char* field : {"requests_get", "requests_put", "requests_list"})
      for (const std::string& event : work_.events_of[field])
        if (std::ranges::find(events, event) == events.end()) events.push_back(event);
    work_.events_of["usd"] = std::move(events);
  }

  const Dossier& dossier_;
  const Event* before_;
  const Event* after_;
  std::map<std::string, int64_t> tail_of_;  // bytes, by lane
  Recovery work_;
};

}  // namespace

Recovery judge_recovery(const Dossier& dossier, const std::vector<PartitionRow>& partitions) {
  Recovery work = RecoveryWork(dossier).all();
  for (const PartitionRow& row : partitions) {
    const Milestone& first = row.milestones[8];
    const Milestone& tail = row.milestones[13];
    if (!first.known() || !tail.known()) continue;
    work.left_over_ms =
        std::max(work.left_over_ms.value_or(0), std::max(0.0, *tail.ms - *first.ms));
    auto& events = work.events_of["left_over_ms"];
    if (std::ranges::find(events, tail.event) == events.end()) events.push_back(tail.event);
  }
  return work;
}

}  // namespace paceline::judge
