#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/shard.h"

namespace paceline::probe {

// What a drill has to have done to a cluster, through librdkafka's own admin calls. One shard's.
class Admin {
 public:
  struct NewTopic {
    std::string name;
    int32_t partitions = 1;
    int16_t replicas = -1;  // -1: as the cluster has it by default
    std::map<std::string, std::string> configs = {};
  };
  struct Cluster {
    struct Broker {
      int32_t id = -1;
      std::string host;
      uint16_t port = 0;
    };
    struct Topic {
      std::string name;
      std::vector<int32_t> leaders;  // by partition; -1: none now
    };
    std::string id;
    std::vector<Broker> brokers;
    std::vector<Topic> topics;  // in the order of names
  };

  // `settings`: librdkafka's own. invalid_argument: one that it does not take.
  static Result<std::unique_ptr<Admin>> make(env::Shard& shard, const std::string& bootstrap,
                                             const std::map<std::string, std::string>& settings);
  virtual ~Admin() = default;

  // All brokers and topics. unavailable: no broker answers, with librdkafka's reason.
  virtual Task<Result<Cluster>> look(env::Instant deadline) = 0;
  // already_exists, or what the cluster says; those before it in the list may have been made.
  virtual Task<Result<void>> create_topics(std::vector<NewTopic> topics, env::Instant deadline) = 0;
  // A topic that is not there is deleted.
  virtual Task<Result<void>> delete_topics(std::vector<std::string> names,
                                           env::Instant deadline) = 0;
  // Until all these topics are there and each of their partitions has a leader. timed_out: which
  // one has none.
  virtual Task<Result<void>> wait_led(std::map<std::string, int32_t> partitions_by_topic,
                                      env::Instant deadline) = 0;
};

}  // namespace paceline::probe
