#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "protocol/gen/metadata.h"

namespace paceline::app {

// A Kafka error as commands print it.
std::string words(int16_t code, const std::optional<std::string>& message);

// Of one topic, or of all.
Task<Result<protocol::MetadataResponse>> ask_metadata(client::Client& client,
                                                      std::optional<std::string> topic);

// All brokers of a cluster, whichever a command was pointed at: groups and ends of partitions are
// known to one of them each. Connected when they are asked for. Used by one task at a time.
class Brokers {
 public:
  // unavailable: `bootstrap` does not answer.
  static Task<Result<Brokers>> find(env::Shard& shard, std::string bootstrap);

  const std::vector<protocol::MetadataResponse::Broker>& all() const { return all_; }
  Task<Result<client::Client*>> at(int32_t broker);
  Task<Result<client::Client*>> coordinator_of(std::string group);
  using Topic = protocol::MetadataResponse::Topic;
  Task<Result<Topic>> topic(std::string name);
  // Of each partition, as its leader says: -2 asks for the start, -1 for the end. Those whose
  // leader does not know are not in it.
  using Offsets = std::map<int32_t, int64_t>;
  Task<Result<Offsets>> offsets(const Topic& topic, int64_t which);

 private:
  explicit Brokers(env::Shard& shard) : shard_(&shard) {}

  env::Shard* shard_;
  std::unique_ptr<client::Client> first_;
  std::vector<protocol::MetadataResponse::Broker> all_;
  std::map<int32_t, std::unique_ptr<client::Client>> connected_;
};

}  // namespace paceline::app
