#pragma once

#include <memory>
#include <vector>

#include "broker/pace.h"
#include "broker/settings.h"
#include "broker/surroundings.h"
#include "broker/topic_config.h"
#include "cluster/cluster.h"
#include "env/network.h"
#include "stream/stream.h"

namespace paceline::broker {

class Node;

// The Kafka side of a broker: listeners, connections, partitions and coordinators. Owned by the
// first shard; its parts must outlive it.
class Broker {
 public:
  Broker(std::vector<env::Shard*> shards, cluster::Cluster& cluster, stream::Storage& storage,
         std::vector<std::unique_ptr<env::Listener>> listeners, Settings settings,
         TopicConfigs topic_configs, Surroundings surroundings);
  ~Broker();

  // Opens all partitions, then accepts connections on all listeners (settings.listeners names
  // them, in the same order).
  Task<void> start();
  // Stops accepting, ends all connections, closes all partitions.
  Task<void> stop();

  Node& node() { return *node_; }  // for admin: metrics and health

 private:
  struct ShardConnections;
  Task<void> accept_loop(size_t listener);
  static Task<void> serve(Broker* broker, size_t shard, std::unique_ptr<env::Socket> socket,
                          std::string listener, env::Instant from);
  Task<void> on_each_shard(Task<void> (*step)(ShardConnections*));
  bool admit(const std::string& peer);
  // When a connection that came now may be served.
  env::Instant next_turn(const std::string& peer);
  void leave(const std::string& peer);
  void forget_addresses();

  std::vector<env::Shard*> shards_;
  std::unique_ptr<Node> node_;
  std::vector<std::unique_ptr<env::Listener>> listeners_;
  std::vector<std::unique_ptr<ShardConnections>> connections_;
  // Connections of one address. On the first shard.
  struct Address {
    uint32_t connections = 0;
    Pace pace;
  };
  std::map<std::string, Address> per_ip_;
  Pace pace_;                      // of all connections
  uint32_t connection_count_ = 0;  // on the first shard
  size_t next_shard_ = 0;
  bool stopping_ = false;
};

}  // namespace paceline::broker
