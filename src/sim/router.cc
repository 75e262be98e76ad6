#include "sim/router.h"

#include "protocol/gen/find_coordinator.h"
#include "protocol/gen/metadata.h"
#include "record/kafka_error.h"

namespace paceline::sim {

using namespace std::chrono_literals;

Router::Router(Clients& clients, env::Duration patience)
    : clients_(clients),
      patience_(clients.cluster() ? patience : std::max<env::Duration>(patience, 10s)) {}

Task<Link*> Router::reach(const std::string& host) {
  Link& link = links_.try_emplace(host, clients_, host, patience_).first->second;
  const bool reached = co_await link.reach();
  co_return reached ? &link : nullptr;
}

Task<Link*> Router::any() {
  if (!clients_.cluster()) {
    Link& link = links_.try_emplace("", clients_, "", patience_).first->second;
    co_await link.get();
    co_return &link;
  }
  const size_t first = clients_.random.below(clients_.brokers.size());
  for (size_t i = 0; i < clients_.brokers.size(); ++i) {
    const std::string& host = clients_.brokers[(first + i) % clients_.brokers.size()];
    Link* link = co_await reach(host);
    if (link) co_return link;
  }
  co_return nullptr;
}

Task<Link*> Router::leader(Key key) {
  if (!clients_.cluster()) co_return co_await any();
  if (leaders_[key].doubted && !co_await refresh()) co_return nullptr;
  const std::string host = leaders_[key].host;
  if (host.empty() || leaders_[key].doubted) co_return nullptr;
  Link* link = co_await reach(host);
  if (!link) doubt(key);
  co_return link;
}

int32_t Router::epoch(Key key) const {
  const auto found = leaders_.find(key);
  return found == leaders_.end() ? -1 : found->second.epoch;
}

Task<bool> Router::refresh() {
  Link* link = co_await any();
  if (!link) co_return false;
  co_return co_await learn_from(*link);
}

Task<void> Router::ask_all() {
  if (!clients_.cluster()) co_return;
  for (const std::string& host : clients_.brokers) {
    Link* link = co_await reach(host);
    if (link) co_await learn_from(*link);
  }
}

Task<void> Router::look() {
  (void)co_await refresh();
}

// Of two answers the one with the higher epoch is the newer one; of equal ones the later answer
// counts, because the partition may have been without a leader meanwhile.
Task<bool> Router::learn_from(Link& link) {
  protocol::MetadataRequest request;
  request.topics.emplace().emplace_back().name = clients_.topic;
  request.allow_auto_topic_creation = false;
  const history::Time asked = clients_.now();
  auto answer = co_await link.current()->call<protocol::MetadataResponse>(12, request);
  if (!answer) {
    link.drop();
    co_return false;
  }
  if (answer->topics.empty()) co_return false;
  std::map<int32_t, std::string> hosts;
  for (const auto& broker : answer->brokers) hosts[broker.node_id] = std::string(broker.host);
  for (const auto& partition : answer->topics.front().partitions) {
    const auto key = static_cast<Key>(partition.partition_index);
    if (link.to_former()) continue;
    clients_.history.add(EpochSeen{key, partition.leader_epoch, partition.leader_id, link.teller()},
                         asked, clients_.now());
    Leader& known = leaders_[key];
    if (partition.leader_epoch < known.epoch) continue;
    const auto host = hosts.find(partition.leader_id);
    known = {host == hosts.end() ? std::string() : host->second, partition.leader_epoch, false};
  }
  co_return true;
}

Task<Link*> Router::coordinator(uint32_t group) {
  if (!clients_.cluster()) co_return co_await any();
  if (coordinator_.empty()) {
    Link* link = co_await any();
    if (!link) co_return nullptr;
    protocol::FindCoordinatorRequest request;
    const std::string name = group_name(group);
    request.coordinator_keys = {name};
    auto answer = co_await link->current()->call<protocol::FindCoordinatorResponse>(4, request);
    if (!answer) link->drop();
    if (!answer || answer->coordinators.empty() || answer->coordinators.front().error_code != 0)
      co_return nullptr;
    coordinator_ = answer->coordinators.front().host;
  }
  const std::string host = coordinator_;
  Link* link = co_await reach(host);
  if (!link) doubt_coordinator();
  co_return link;
}

}  // namespace paceline::sim
