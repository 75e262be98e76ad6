#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// What brokers tell of the cluster, as of one moment. Values only.

namespace paceline::drill {

struct ClusterView {
  struct Broker {
    int32_t id = -1;
    std::string host;
    uint16_t port = 0;
    std::string rack;
    std::string address() const;  // host:port
  };
  struct Partition {
    int32_t index = 0;
    int32_t leader = -1;  // -1: none
    int32_t epoch = -1;
    std::vector<int32_t> replicas, in_sync;
  };
  struct Topic {
    std::string name;
    std::string id;  // as Kafka's tools print it; empty: not told
    bool internal = false;
    std::vector<Partition> partitions;
  };
  std::string cluster_id;
  int32_t controller = -1;
  std::vector<Broker> brokers;
  std::vector<Topic> topics;

  const Broker* find_broker(int32_t id) const;
  const Topic* find_topic(std::string_view name) const;
  size_t leaderless() const;
  size_t out_of_sync() const;                  // partitions with a replica that is behind
  std::map<int32_t, int64_t> leaders() const;  // broker → partitions led
  int32_t leads_most() const;                  // -1: nobody leads
  std::string bootstrap() const;               // all brokers' addresses
};

}  // namespace paceline::drill
