#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "client/event_tail.h"
#include "evidence/event.h"

namespace paceline::drill {

// What the brokers of Paceline tell on their topic of events, each event once, on the drill's
// clock. All of them are on this machine: a clock's offset is 0, and its bound is what was
// measured.
class BrokerEvents {
 public:
  // `clock_err_ns`: of a broker by its id; nothing: not measured.
  BrokerEvents(env::Shard& shard, std::string bootstrap, std::function<void(evidence::Event)> tell,
               std::function<std::optional<int64_t>(int32_t)> clock_err_ns);
  ~BrokerEvents();
  // Until nothing more has come for half a second, or for so long.
  Task<void> catch_up(env::Duration at_most);

 private:
  struct State;
  static Task<void> follow(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// As it is to be in the timeline; nothing: it is none, or it has been there already. `seen`: the
// highest number of each source.
std::optional<evidence::Event> adopt_broker_event(
    std::string_view cloud_event, std::map<std::string, uint64_t>& seen,
    const std::function<std::optional<int64_t>(int32_t)>& clock_err_ns);

}  // namespace paceline::drill
