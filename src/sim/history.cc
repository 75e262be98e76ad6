#include "sim/history.h"

namespace paceline::sim {

void History::add(Send send, env::Instant invoked, env::Instant told) {
  events_.push_back({Event::Kind::send, sends_.size(), invoked, told});
  sends_.push_back(std::move(send));
}
void History::add(Poll poll, env::Instant invoked, env::Instant told) {
  events_.push_back({Event::Kind::poll, polls_.size(), invoked, told});
  polls_.push_back(std::move(poll));
}
void History::add(Commit commit, env::Instant invoked, env::Instant told) {
  events_.push_back({Event::Kind::commit, commits_.size(), invoked, told});
  commits_.push_back(commit);
}
void History::add(CommittedRead read, env::Instant invoked, env::Instant told) {
  events_.push_back({Event::Kind::committed_read, reads_.size(), invoked, told});
  reads_.push_back(read);
}
void History::add(EpochSeen seen, env::Instant invoked, env::Instant told) {
  events_.push_back({Event::Kind::epoch, epochs_.size(), invoked, told});
  epochs_.push_back(seen);
}
void History::add(Violation violation, env::Instant told) {
  events_.push_back({Event::Kind::violation, violations_.size(), told, told});
  violations_.push_back(std::move(violation));
}

}  // namespace paceline::sim
