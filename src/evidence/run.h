#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::evidence {

// run.json: docs/format/drill.md. Empty words are null there.
struct Run {
  struct Broker {
    int32_t id = -1;
    std::string host;
    uint16_t port = 0;
    std::string rack;
  };
  struct Target {
    std::string profile;  // paceline, kafka, generic
    std::string name, version, cluster_id, bootstrap, config_hash;
    std::vector<Broker> brokers;
    std::vector<std::string> observes;  // milestones that the target itself can tell: t2, t4, …
    bool external_only = false;
    std::string sabotage;  // what the drill itself falsifies; empty: nothing
  };
  struct Step {
    std::string id, fault, test, domain, owner;
    bool planned = false;
  };
  struct Plan {
    std::string name, sha256;
    int64_t baseline_s = 0, observe_s = 0;
    // Rows of the scorecard without which there is no verdict; empty: those of every plan.
    std::vector<std::string> requires_rows;
    std::vector<Step> steps;
  };
  struct Rollback {
    std::string point, command, owner, rule, rehearsed;
    std::optional<int64_t> rehearsed_ms;
  };
  struct Topic {
    std::string name, id;
    int32_t partitions = 0;
    std::string role;  // probe, transfer, bystander
  };
  struct Client {
    std::string name, kind, library, version, zone, group, topic;
    bool idempotent = false, transactional = false;
    std::string acks;
  };

  std::string run_id;
  uint64_t seed = 0;
  std::string began, ended;  // RFC 3339; `ended` empty: it was killed
  int64_t began_ns = 0, ended_ns = 0;
  std::string outcome = "running", reason;
  std::string tool_version, build, librdkafka;
  std::string command;  // what makes this run again
  Target target;
  Plan plan;
  Rollback rollback;
  std::map<std::string, double> limits;
  std::vector<Topic> topics;
  std::vector<Client> clients;
  std::string previous;
};

std::string to_json(const Run& run);
// corrupt: not JSON, or not of this schema, with the field that is wrong.
Result<Run> parse_run(std::string_view json);

}  // namespace paceline::evidence
