#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace paceline::drill {

// What a step can do to a cluster.
enum class Fault {
  drain,           // N1: a broker gives away what it leads
  stop,            // N1: SIGTERM
  kill,            // N1: SIGKILL
  freeze,          // N1: SIGSTOP, and SIGCONT after a while
  cut,             // N2: a zone's or a broker's network
  slow_store,      // N3
  storm,           // N4: all clients of the load go and come back
  control_freeze,  // N5: the metadata quorum stands still while a broker dies
  zombie,          // N6: a leader sleeps until others lead, and wakes
  cleanup,         // N7: a clean-up of what is not ours, which must be refused
};

struct FaultLook {
  Fault fault;
  std::string_view name, test;
  bool planned;           // clients are not to notice it
  bool needs_heal;        // it lasts until it is healed; the others end by themselves
  bool one_broker;        // it has a broker as its target
  std::string_view what;  // for people
};
std::span<const FaultLook> all_faults();
const FaultLook& look_of(Fault fault);
std::optional<Fault> parse_fault(std::string_view name);

}  // namespace paceline::drill
