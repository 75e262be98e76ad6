#include "drill/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::drill {

std::string ClusterView::Broker::address() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

const ClusterView::Broker* ClusterView::find_broker(int32_t id) const {
  const auto found = std::ranges::find(brokers, id, &Broker::id);
  return found == brokers.end() ? nullptr : &*found;
}

const ClusterView::Topic* ClusterView::find_topic(std::string_view name) const {
  const auto found = std::ranges::find(topics, name, &Topic::name);
  return found == topics.end() ? nullptr : &*found;
}

size_t ClusterView::leaderless() const {
  size_t count = 0;
  for (const Topic& topic : topics)
    count += static_cast<size_t>(std::ranges::count_if(
        topic.partitions, [](const Partition& partition) { return partition.leader < 0; }));
  return count;
}

size_t ClusterView::out_of_sync() const {
  size_t count = 0;
  for (const Topic& topic : topics)
    count +=
        static_cast<size_t>(std::ranges::count_if(topic.partitions, [](const Partition& partition) {
          return partition.in_sync.size() < partition.replicas.size();
        }));
  return count;
}

std::map<int32_t, int64_t> ClusterView::leaders() const {
  std::map<int32_t, int64_t> led;
  for (const Broker& broker : brokers) led[broker.id] = 0;
  for (const Topic& topic : topics)
    for (const Partition& partition : topic.partitions)
      if (partition.leader >= 0) ++led[partition.leader];
  return led;
}

int32_t ClusterView::leads_most() const {
  int32_t best = -1;
  int64_t most = 0;
  for (const auto& [broker, count] : leaders()) {
    if (count <= most) continue;
    best = broker;
    most = count;
  }
  return best;
}

std::string ClusterView::bootstrap() const {
  std::string all;
  for (const Broker& broker : brokers) all += (all.empty() ? "" : ",") + broker.address();
  return all;
}

}  // namespace paceline::drill
