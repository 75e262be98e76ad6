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
               TopicConfigs topic_configs, Surroundings surroundings)
    : shards_(std::move(shards)),
      node_(std::make_unique<Node>(shards_, cluster, storage, std::move(settings),
                                   std::move(topic_configs), std::move(surroundings))),
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
    const env::Instant from = next_turn(peer);
    shards_[shard]->post([this, shard, moved = std::move(*socket), name, from]() mutable {
      shards_[shard]->spawn(serve(this, shard, std::move(moved), std::move(name), from));
    });
  }
}

Task<void> Broker::serve(Broker* broker, size_t shard, std::unique_ptr<env::Socket> socket,
                         std::string listener, env::Instant from) {
  ShardConnections& here = *broker->connections_[shard];
  env::Shard& own = *broker->shards_[shard];
  const std::string peer = socket->peer();
  auto pass = here.inside.enter();
  // In steps: an ending broker does not wait for those who came too fast.
  while (!here.stopping && own.now() < from)
    co_await env::sleep_for(
        own, std::min<env::Duration>(from - own.now(), std::chrono::milliseconds(250)));
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
  forget_addresses();
  uint32_t& of_ip = per_ip_[ip_of(peer)].connections;
  if (connection_count_ >= settings.connections_max || of_ip >= settings.connections_per_ip_max) {
    ShardHost& host = node_->host(0);
    host.metrics.connections_refused.fetch_add(1, std::memory_order_relaxed);
    host.complaints.say(
        shards_.front()->now(),
        fmt::format("connection of {} is refused: {} are open, {} of them from its address", peer,
                    connection_count_, of_ip));
    return false;
  }
  ++of_ip;
  ++connection_count_;
  return true;
}

// Whoever comes too fast is served later, not refused: a refusal would be answered by one more
// attempt. They count as connections meanwhile, so that few can wait.
env::Instant Broker::next_turn(const std::string& peer) {
  const Settings& settings = node_->settings();
  const env::Instant now = shards_.front()->now();
  Address& address = per_ip_[ip_of(peer)];
  return std::max(pace_.next(now, settings.connection_rate_max),
                  address.pace.next(now, settings.connection_rate_per_ip_max));
}

void Broker::leave(const std::string& peer) {
  --connection_count_;
  --per_ip_.at(ip_of(peer)).connections;
}

// An address is remembered beyond its last connection, or its pace would start anew with each.
void Broker::forget_addresses() {
  constexpr size_t kIdleAddresses = 1'000;
  if (per_ip_.size() <= connection_count_ + kIdleAddresses) return;
  const env::Instant now = shards_.front()->now();
  std::erase_if(per_ip_, [now](const auto& one) {
    return one.second.connections == 0 && !one.second.pace.ahead(now);
  });
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
