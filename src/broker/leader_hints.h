#pragma once

#include <algorithm>

#include "broker/node.h"
#include "broker/request.h"

namespace paceline::broker {

// Who leads a partition that is refused here (KIP-951): in Produce from version 10 on, in Fetch
// from 16.
class LeaderHints {
 public:
  explicit LeaderHints(const Request& request)
      : self_(request.node.settings().broker),
        listener_(request.peer.listener),
        image_(request.node.image()) {}

  template <class Partition, class Response>
  void add(const Uuid& topic_id, int32_t index, Partition& one, Response& response) const {
    const cluster::TopicImage* topic = image_->topic(topic_id);
    if (!topic || index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) return;
    const cluster::PartitionImage& led = topic->partitions[static_cast<size_t>(index)];
    if (led.leader.value < 0 || led.leader == self_) return;
    one.current_leader.leader_id = led.leader.value;
    one.current_leader.leader_epoch = led.epoch.value;
    auto& nodes = response.node_endpoints;
    if (std::ranges::any_of(nodes, [&](const auto& n) { return n.node_id == led.leader.value; }))
      return;
    for (const cluster::BrokerImage& broker : image_->brokers) {
      if (broker.id != led.leader) continue;
      const auto named = std::ranges::find(broker.endpoints, listener_, &meta::Endpoint::listener);
      if (named == broker.endpoints.end()) return;
      auto& node = nodes.emplace_back();
      node.node_id = broker.id.value;
      node.host = named->host;
      node.port = named->port;
      if (!broker.rack.empty()) node.rack = broker.rack;
    }
  }

 private:
  const BrokerId self_;
  const std::string& listener_;
  const std::shared_ptr<const cluster::Image> image_;
};

}  // namespace paceline::broker
