#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "env/shard.h"
#include "history/checker.h"

namespace paceline::sim {

// One run: one broker or several, their clients, and faults until `load` has passed; then everybody
// must come to an end, and what they were told is judged.
struct Report {
  uint64_t seed = 0;
  uint64_t trace = 0;          // equal for two runs of one seed
  env::Duration simulated{0};  // virtual time that passed
  uint64_t batches_acked = 0;
  uint64_t records_acked = 0;
  uint64_t records_read = 0;
  uint64_t commits_acked = 0;
  uint32_t crashes = 0;  // power losses
  uint32_t kills = 0;
  uint32_t stops = 0;
  uint32_t brokers = 1;                     // at the beginning
  history::History history;                 // if asked for
  std::vector<std::string> steps;           // what was done to brokers, with the virtual second
  std::vector<std::string> log;             // the broker's own lines, if asked for
  std::vector<history::Anomaly> anomalies;  // of the clients' history
  // Of each anomaly: who sent, was told and read what it is about, and when.
  std::vector<std::vector<std::string>> stories;
  std::vector<std::string> problems;  // anything else that may not be: stuck, damaged storage

  bool good() const { return anomalies.empty() && problems.empty(); }
};

struct RunOptions {
  bool keep_log = false;
  bool keep_history = false;
  // Told each step and each line of a broker's log at once: a check of the code may end the
  // process.
  std::function<void(std::string_view)> tell;
};

Report run_seed(uint64_t seed, RunOptions options);
// Whether the run of this seed has several brokers.
bool has_cluster(uint64_t seed);

}  // namespace paceline::sim
