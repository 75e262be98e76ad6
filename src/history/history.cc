#include "history/history.h"

#include <algorithm>
#include <utility>

namespace paceline::history {

void Poll::add(int64_t offset, Value value, int32_t written_under) {
  if (!seen.empty() && seen.back().end() == offset && seen.back().value_end() == value &&
      seen.back().epoch == written_under) {
    ++seen.back().count;
  } else {
    seen.push_back({offset, value, 1, written_under});
  }
}

void History::add(Send send, Time invoked, Time told) {
  events_.push_back({Event::Kind::send, sends_.size(), invoked, told});
  sends_.push_back(std::move(send));
}
void History::add(Poll poll, Time invoked, Time told) {
  events_.push_back({Event::Kind::poll, polls_.size(), invoked, told});
  polls_.push_back(std::move(poll));
}
void History::add(Commit commit, Time invoked, Time told) {
  events_.push_back({Event::Kind::commit, commits_.size(), invoked, told});
  commits_.push_back(commit);
}
void History::add(CommittedRead read, Time invoked, Time told) {
  events_.push_back({Event::Kind::committed_read, reads_.size(), invoked, told});
  reads_.push_back(read);
}
void History::add(EpochSeen seen, Time invoked, Time told) {
  events_.push_back({Event::Kind::epoch, epochs_.size(), invoked, told});
  epochs_.push_back(seen);
}
void History::add(EpochEnd end, Time invoked, Time told) {
  events_.push_back({Event::Kind::epoch_end, epoch_ends_.size(), invoked, told});
  epoch_ends_.push_back(end);
}
void History::add(Violation violation, Time told) {
  events_.push_back({Event::Kind::violation, violations_.size(), told, told});
  violations_.push_back(std::move(violation));
}

Teller History::teller(std::string_view name) {
  const auto found = std::ranges::find(tellers_, name);
  if (found != tellers_.end()) return static_cast<Teller>(found - tellers_.begin());
  tellers_.emplace_back(name);
  return static_cast<Teller>(tellers_.size() - 1);
}

}  // namespace paceline::history
