#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/server.h"

namespace paceline::app {

// What `paceline serve` was told, from everywhere.
struct ServeOptions {
  std::vector<std::string> config_files;
  std::string data = "./paceline-data";
  std::optional<std::string> listen;               // HOST:PORT, stronger than the listeners key
  std::vector<std::string> overrides;              // key=value
  std::map<std::string, std::string> environment;  // of the process
  bool strict = false;                             // unknown keys are an error
};

struct Config {
  server::Options server;
  unsigned shards = 0;  // 0 = one a core
  bool forget_unsynced = false;
  std::vector<std::string> notices;  // one sentence each, for the log
};

// Merges command line, KAFKA_* environment and files (strongest first), sorts the keys into
// honoured, accepted and refused, and reads their values. invalid_argument: the one sentence that
// tells what to change. `read` gives a file's text.
using ReadFile = Result<std::string> (*)(const std::string& path);
Result<Config> load_config(const ServeOptions& options, ReadFile read);

// "host:port", "[v6]:port" or ":port".
Result<meta::Endpoint> parse_address(std::string_view text);

}  // namespace paceline::app
