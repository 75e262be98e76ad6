#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "broker/settings.h"

namespace paceline::app {

// What `paceline serve` was told, from everywhere.
struct ServeOptions {
  std::vector<std::string> config_files;
  std::string data = "./paceline-data";
  std::optional<std::string> listen;               // HOST:PORT, stronger than the listeners key
  std::vector<std::string> overrides;              // key=value
  std::map<std::string, std::string> environment;  // KAFKA_* and CLUSTER_ID
  bool strict = false;                             // unknown keys are an error
};

struct Config {
  broker::Settings settings;
  std::string data;
  std::optional<Uuid> cluster_id;
  std::optional<meta::Endpoint> admin;  // nothing = none
  unsigned shards = 0;                  // 0 = one a core
  uint64_t memory_bytes = 0;
  uint64_t upload_bytes = 0;
  int64_t upload_age_ms = 0;
  bool forget_unsynced = false;
  std::map<std::string, std::string> given;  // by Kafka's names, for DescribeConfigs
  std::vector<std::string> notices;          // one sentence each, for the log
};

// Merges command line, KAFKA_* environment and files (strongest first), sorts the keys into
// honoured, accepted and refused, and reads their values. invalid_argument: the one sentence that
// tells what to change. `read` gives a file's text.
using ReadFile = Result<std::string> (*)(const std::string& path);
Result<Config> load_config(const ServeOptions& options, ReadFile read);

// "host:port", "[v6]:port" or ":port".
Result<meta::Endpoint> parse_address(std::string_view text);

}  // namespace paceline::app
