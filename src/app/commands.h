#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "env/shard.h"

namespace paceline::app {

// The exit codes of every command.
enum Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnhealthy = 4,
  kPartly = 5,
  kRefused = 6,
  kTimeout = 7,
};

// Where a command goes and how it prints.
struct Target {
  std::string bootstrap = "127.0.0.1:9092";
  bool json = false;
};

struct TopicSpec {
  std::string name;
  int32_t partitions = -1;
  int16_t replication_factor = -1;
  std::vector<std::string> configs;  // key=value
};

Task<int> topic_list(env::Shard& shard, Target target);
Task<int> topic_create(env::Shard& shard, Target target, TopicSpec topic);
Task<int> topic_describe(env::Shard& shard, Target target, std::string name);
Task<int> topic_delete(env::Shard& shard, Target target, std::string name);
Task<int> group_list(env::Shard& shard, Target target);
Task<int> group_describe(env::Shard& shard, Target target, std::string group);

// `named`: TOPIC, TOPIC:P, or empty for all.
Task<int> leader_list(env::Shard& shard, Target target, std::string named);
// Makes broker `to` the preferred leader, and the leader.
Task<int> leader_move(env::Shard& shard, Target target, std::string named, int32_t to);
// Gives away what the broker leads; preferences stay.
Task<int> leader_drain(env::Shard& shard, Target target, int32_t broker, bool wait);

// What each broker leads and what is due to it, and the moves that bring them together; begins
// them, unless that is all.
Task<int> cluster_balance(env::Shard& shard, Target target, bool dry_run);

// `resource`: "topic/NAME" or "broker/ID" or "broker".
Task<int> config_get(env::Shard& shard, Target target, std::string resource);
Task<int> config_set(env::Shard& shard, Target target, std::string resource,
                     std::vector<std::string> values);

// Prints `message` to standard error and returns the exit code.
int complain(int code, const std::string& message);

}  // namespace paceline::app
