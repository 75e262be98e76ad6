#include "drill/fault.h"

#include <algorithm>

#include "base/check.h"

namespace paceline::drill {
namespace {

constexpr FaultLook kLooks[] = {
    {Fault::drain, "drain", "N1", true, false, true, "a broker gives away what it leads"},
    {Fault::stop, "stop", "N1", true, false, true, "a broker is told to end (SIGTERM)"},
    {Fault::kill, "kill", "N1", false, false, true, "a broker is killed (SIGKILL)"},
    {Fault::freeze, "freeze", "N1", false, true, true, "a broker stands still (SIGSTOP)"},
    {Fault::cut, "cut", "N2", false, true, false, "a network path is cut"},
    {Fault::slow_store, "slow-store", "N3", false, true, false, "the storage is slow"},
    {Fault::storm, "storm", "N4", false, false, false, "all clients go and come back at once"},
    {Fault::control_freeze, "control-freeze", "N5", false, true, true,
     "the metadata quorum stands still while a broker dies"},
    {Fault::zombie, "zombie", "N6", false, true, true,
     "a leader sleeps until others lead, and wakes"},
    {Fault::cleanup, "cleanup", "N7", true, false, false,
     "a clean-up of what is not ours, which must be refused"},
};

}  // namespace

std::span<const FaultLook> all_faults() {
  return kLooks;
}

const FaultLook& look_of(Fault fault) {
  const auto* found = std::ranges::find(kLooks, fault, &FaultLook::fault);
  CHECK(found != std::end(kLooks));
  return *found;
}

std::optional<Fault> parse_fault(std::string_view name) {
  const auto* found = std::ranges::find(kLooks, name, &FaultLook::name);
  if (found == std::end(kLooks)) return std::nullopt;
  return found->fault;
}

}  // namespace paceline::drill
