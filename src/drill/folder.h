#pragma once

#include <optional>
#include <string>
#include <vector>

#include "env/disk.h"
#include "judge/judge.h"

namespace paceline::drill {

// The folder of a run, and the folder of all runs. All of it blocks.

// Every file of a run that there is. not_found: it is no run.
Result<judge::Files> read_run(env::Disk& disk, const std::string& folder);
// Runs by their names, which are times.
std::vector<std::string> runs_in(env::Disk& disk, const std::string& folder);
// The SHA-256 of the manifest of the newest run that has one; empty: there is none.
std::string last_manifest(env::Disk& disk, const std::string& folder);

// What can be made of evidence: report.json, report.html, junit.xml, metrics.prom, and
// MANIFEST.sha256 over all of it.
struct Made {
  judge::Derived derived;
  judge::Files files;
};
Result<Made> derive(judge::Files evidence);
// derive(), from and to a folder.
Result<judge::Derived> derive_in(env::Disk& disk, const std::string& folder);

}  // namespace paceline::drill
