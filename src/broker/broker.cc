#include "broker/broker.h"

#include "base/log.h"
#include "broker/connection.h"
#include "broker/node.h"

namespace paceline::broker {
namespace {

std::string ip_of(const std::string& peer) {
  return peer.substr(0, peer.rfind(':'));
}

}  // namespace

// The live connections of one shard.
struct Broker::ShardConnections {
  explicit ShardConnections(env::Shard& shard) : inside(shard) {}
  std::map<uint64_t, Connection*> all;  // by number: ended in the order in which they came
  uint64_t next = 0;
  env::Gate inside;
  bool stopping = false;
};

Broker::Broker(std::vector<env::Shard*> shards, cluster::Cluster& cluster, stream::Storage& storage,
               std::vector<std::unique_ptr<env::Listener>> listeners, Settings settings,
               TopicConfigs topic_configs)
    : shards_(std::move(shards)),
      node_(std::make_unique<Node>(shards_, cluster, storage, std::move(settings),
                                   std::move(topic_configs))),
      listeners_(std::move(listeners)) {
  for (env::Shard* shard : shards_)
    connections_.push_back(std::make_unique<ShardConnections>(*shard));
}

Broker::~Broker() = default;

Task<void> Broker::start() {
  co_await node_->start();
  for (size_t index = 0; index < listeners_.size(); ++index)
    shards_.front()->spawn(accept_loop(index));
}

// Connections go round the shards, one after the other.
Task<void> Broker::accept_loop(size_t index) {
  env::Listener& listener = *listeners_[index];
  const std::string name = node_->settings().listeners[index].listener;
  while (!stopping_) {
    const size_t shard = next_shard_++ % shards_.size();
    auto socket = co_await listener.accept(*shards_[shard]);
    if (!socket) {
      if (socket.error().code == Code::closed || stopping_) break;
      // Out of file descriptors, most likely: those who are here go on.
      log_warn("cannot accept on {}: {}", name, socket.error().message);
      co_await env::sleep_for(*shards_.front(), std::chrono::milliseconds(100));
      continue;
    }
    const std::string peer = (*socket)->peer();
    // A socket is closed on its own shard, like everything that is done with it.
    if (!admit(peer)) {
      shards_[shard]->post([gone = std::move(*socket)]() mutable { gone.reset(); });
      continue;
    }
    shards_[shard]->post([this, shard, moved = std::move(*socket), name]() mutable {
      shards_[shard]->spawn(serve(this, shard, std::move(moved), std::move(name)));
    });
  }
}

Task<void> Broker::serve(Broker* broker, size_t shard, std::unique_ptr<env::Socket> socket,
                         std::string listener) {
  ShardConnections& here = *broker->connections_[shard];
  env::Shard& own = *broker->shards_[shard];
  const std::string peer = socket->peer();
  auto pass = here.inside.enter();
  if (!here.stopping) {
    Metrics& metrics = broker->node_->host(shard).metrics;
    metrics.connections.fetch_add(1, std::memory_order_relaxed);
    Connection connection(*broker->node_, own, std::move(socket), std::move(listener));
    const uint64_t number = here.next++;
    here.all.emplace(number, &connection);
    co_await connection.serve();
    here.all.erase(number);
    metrics.connections.fetch_sub(1, std::memory_order_relaxed);
  }
  broker->shards_.front()->post([broker, peer] { broker->leave(peer); });
}

bool Broker::admit(const std::string& peer) {
  const Settings& settings = node_->settings();
  uint32_t& of_ip = per_ip_[ip_of(peer)];
  if (connection_count_ >= settings.connections_max || of_ip >= settings.connections_per_ip_max) {
    node_->host(0).metrics.connections_refused.fetch_add(1, std::memory_order_relaxed);
    if (of_ip == 0) per_ip_.erase(ip_of(peer));
    return false;
  }
  ++of_ip;
  ++connection_count_;
  return true;
}

void Broker::leave(const std::string& peer) {
  --connection_count_;
  auto found = per_ip_.find(ip_of(peer));
  if (found != per_ip_.end() && --found->second == 0) per_ip_.erase(found);
}

Task<void> Broker::stop() {
  stopping_ = true;
  for (auto& listener : listeners_) listener->close();
  co_await on_each_shard([](ShardConnections* here) -> Task<void> {
    here->stopping = true;
    for (auto& [number, connection] : here->all) connection->close();
    co_return;
  });
  co_await node_->release_waiters();
  co_await on_each_shard([](ShardConnections* here) { return here->inside.wait_empty(); });
  co_await node_->stop();
}

Task<void> Broker::on_each_shard(Task<void> (*step)(ShardConnections*)) {
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    co_await env::call_on(*shards_[shard], *shards_.front(),
                          [step, here = connections_[shard].get()] { return step(here); });
  }
}

}  // namespace paceline::broker
