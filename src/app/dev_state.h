#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/dev_plan.h"

namespace paceline::app {

// A service, as it is now.
struct DevLife {
  enum class State { starting, ready, ended };
  DevService service;
  State state = State::starting;
  pid_t pid = 0;  // 0: none
  unsigned starts = 0;
  unsigned short_lives = 0;  // that ended one after the other
  env::Instant started_at;
};

// DIR/dev.json: who runs where, for tests, drills and `paceline dev --status`. Fields are only ever
// added.
struct DevState {
  std::string state;  // starting, ready, ending, ended
  DevOptions options = {};
  std::string folder = "";
  std::string bootstrap = "", metadata = "", objects = "";
  // The machine's interface to brokers that are hosts, and its address there; else empty.
  std::string interface = "", machine = "";
  std::map<std::string, std::string> environment = {};  // for whoever reads the objects
};
std::string state_json(const DevState& state, const std::vector<const DevLife*>& lives);

// What a second run in a folder must keep of the first one; nothing is told of a folder that was
// none of ours. invalid_argument: one sentence that says what to do instead.
Result<void> check_continues(const std::string& earlier_json, const DevOptions& options);

// A cluster that runs.
struct FoundDev {
  std::string path;  // of its dev.json
  std::string folder;
  bool passing = false;  // the folder goes with it
};
// The one in `folder`; without a folder the one that has a broker of `bootstrap`; without both the
// only one of this machine that a passing folder tells of. Nothing: there is none, or not one.
std::optional<FoundDev> find_dev_state(const std::string& folder, const std::string& bootstrap);

// `paceline dev --status`: the cluster in `folder`, or all of this machine that are found.
int dev_status(const std::string& folder, bool json);

}  // namespace paceline::app
