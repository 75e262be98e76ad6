#include "history/history.h"

#include <utility>

namespace paceline::history {

void Poll::add(int64_t offset, Value value) {
  if (!seen.empty() && seen.back().end() == offset && seen.back().value_end() == value) {
    ++seen.back().count;
  } else {
    seen.push_back({offset, value, 1});
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
void History::add(Violation violation, Time told) {
  events_.push_back({Event::Kind::violation, violations_.size(), told, told});
  violations_.push_back(std::move(violation));
}

}  // namespace paceline::history
