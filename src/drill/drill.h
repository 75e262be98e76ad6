#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/shard.h"

// `paceline drill`: real faults on a cluster under load, and a verdict. A client of the cluster
// like any other; docs/drill.md is for its users, docs/format/drill.md tells what it leaves behind.

namespace paceline::drill {

struct RunOptions {
  std::string plan = "kill";  // a built-in plan's name, or a path
  std::string bootstrap;      // empty: a `paceline dev` of this machine
  std::string hooks;          // a hook file's path; empty: none
  std::string profile;        // paceline, kafka, generic; empty: as the target tells
  std::string folder;         // of all runs; empty: `drills`, or that of the dev cluster
  std::optional<uint64_t> seed = {};
  std::string owner;  // stronger than the plan's
  bool allow_production_topics = false;
  bool quick = false;      // short phases: a trial of the machinery
  bool strict = false;     // amber: exit 1
  std::string sabotage;    // N8: what the drill falsifies on purpose: "drop-ack", "double-record"
  std::string dev_state;   // the path of the dev.json of a `paceline dev`; empty: none
  std::string dev_folder;  // the folder of it that was asked for; empty: none was
  // Becomes true when the run is to heal, to judge what there is, and to end. On the run's shard.
  std::shared_ptr<const bool> interrupted;
};
// Exit codes: 0 green or amber, 1 failed, 2 usage, 4 red, 6 refused, 7 could not judge,
// 130 interrupted after healing.
Task<int> run(env::Shard& shard, RunOptions options);
// What would happen, and what it would refuse; changes nothing.
Task<int> plan(env::Shard& shard, RunOptions options);
// Built-in plans and earlier runs.
Task<int> list(env::Shard& shard, std::string folder, bool json);
// Follows a run of another terminal to its end. 7: it has ended without one.
Task<int> watch(env::Shard& shard, std::string run_folder);
// Makes the report anew from the evidence, and prints the verdict.
Task<int> report(env::Shard& shard, std::string run_folder, bool json);
// Writes `page` (a path; empty: none) and prints a table.
Task<int> compare(env::Shard& shard, std::string left, std::string right, std::string page);
// Hashes, and the verdict computed anew from the raw files alone.
Task<int> verify(env::Shard& shard, std::string run_folder);

// What `/proc/self/exe drill-watchdog SOCKET LOG` does, without a shard: heals what a drill that is
// gone has left behind. Returns when there is nothing to watch any more.
int watchdog(int socket, const std::string& log);

}  // namespace paceline::drill
