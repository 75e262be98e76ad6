#include "env/sim_network.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "env/sim_endpoint.h"
#include "env/sim_world.h"

namespace paceline::env {
namespace {

class SimSocket final : public Socket {
 public:
  explicit SimSocket(std::shared_ptr<SimEndpoint> endpoint) : endpoint_(std::move(endpoint)) {}
  ~SimSocket() override { endpoint_->close(); }

  Task<Result<size_t>> read_some(MutableBytes into) override {
    CHECK(!into.empty());
    const std::shared_ptr<SimEndpoint> endpoint = endpoint_;
    for (;;) {
      auto count = endpoint->take(into);
      if (!count || *count > 0) co_return count;
      SimWait wait(endpoint->reader);
      co_await wait;
    }
  }

  Task<Result<void>> write(std::span<const Slice> pieces) override {
    const std::shared_ptr<SimEndpoint> endpoint = endpoint_;
    std::string bytes;  // joined: how a message was cut into pieces is not seen on a wire
    for (const Slice& piece : pieces) bytes += as_text(piece.bytes());
    Bytes rest = as_bytes(bytes);
    while (!rest.empty()) {
      CO_TRY(const size_t count, endpoint->send(rest));
      rest = rest.subspan(count);
      if (count > 0) continue;
      SimWait wait(endpoint->writer);
      co_await wait;
    }
    co_return Result<void>{};
  }

  void close() override { endpoint_->close(); }
  std::string peer() const override { return endpoint_->peer_name(); }

 private:
  const std::shared_ptr<SimEndpoint> endpoint_;
};

class SimListener final : public Listener {
 public:
  SimListener(SimLinks& links, SimShard& shard, std::shared_ptr<SimPort> port, uint16_t number)
      : links_(links), shard_(shard), port_(std::move(port)), number_(number) {}
  ~SimListener() override { close(); }

  Task<Result<std::unique_ptr<Socket>>> accept(Shard& owner) override {
    const std::shared_ptr<SimPort> port = port_;
    for (;;) {
      if (port->closed) co_return fail(Code::closed, "the listener is closed");
      if (!port->waiting.empty()) {
        auto endpoint = std::move(port->waiting.front());
        port->waiting.pop_front();
        endpoint->set_owner(static_cast<SimShard&>(owner));
        co_return std::make_unique<SimSocket>(std::move(endpoint));
      }
      SimWait wait(port->accepter);
      co_await wait;
    }
  }
  void close() override {
    if (port_->closed) return;
    port_->closed = true;
    links_.ports.erase({shard_.life().host().index(), number_});
    for (auto& endpoint : port_->waiting) endpoint->close();
    port_->waiting.clear();
    if (port_->accepter) shard_.post([port = port_] { SimWait::wake(port->accepter); });
  }
  uint16_t port() const override { return number_; }

 private:
  SimLinks& links_;
  SimShard& shard_;
  const std::shared_ptr<SimPort> port_;
  const uint16_t number_;
};

// A connection being made; both sides and the deadline refer to it.
struct Attempt {
  std::shared_ptr<SimEndpoint> endpoint;
  bool answered = false;
  SimWait* waiter = nullptr;
  Instant last_there{};
  Instant last_back{};
};

}  // namespace

Result<std::unique_ptr<Listener>> SimNetwork::listen(const std::string& host, uint16_t port) {
  const auto self = shard_.life().host().index();
  if (links_.find_host(host, self) != self)
    return fail(Code::invalid_argument,
                fmt::format("cannot listen on {}:{}: not an address of this host", host, port));
  if (port == 0) port = links_.free_port(self);
  auto opened = std::make_shared<SimPort>();
  opened->shard = &shard_;
  if (!links_.ports.emplace(std::pair(self, port), opened).second)
    return fail(Code::in_use,
                fmt::format("cannot listen on {}:{}: the port is already in use", host, port));
  return std::make_unique<SimListener>(links_, shard_, std::move(opened), port);
}

Task<Result<std::unique_ptr<Socket>>> SimNetwork::connect(const std::string& host, uint16_t port,
                                                          Instant deadline) {
  SimShard& shard = shard_;
  SimLinks& links = links_;
  SimEvents& events = events_;
  const auto self = shard.life().host().index();
  const auto found = links.find_host(host, self);
  if (!found) co_return fail(Code::invalid_argument, fmt::format("cannot resolve host '{}'", host));
  const auto there = *found;
  const std::string name = fmt::format("{}:{}", host, port);
  const std::string own_name = fmt::format("{}:{}", links.host_name(self), links.free_port(self));

  auto attempt = std::make_shared<Attempt>();
  SimLife* const life = &shard.life();
  auto answer = [attempt] {
    attempt->answered = true;
    SimWait::wake(attempt->waiter);
  };
  // The first packet arrives at a system, not at a process; its answer is for the one who asked.
  auto arrive = [&links, &events, &shard, life, attempt, answer, self, there, port, name,
                 own_name] {
    if (life->ended()) return;
    const auto open = links.ports.find({there, port});
    if (open != links.ports.end()) {
      SimPort& listening = *open->second;
      attempt->endpoint = std::make_shared<SimEndpoint>(events, links, shard, name);
      auto other = std::make_shared<SimEndpoint>(events, links, *listening.shard, own_name);
      SimEndpoint::join(attempt->endpoint, other);
      listening.waiting.push_back(std::move(other));
      if (listening.accepter)
        listening.shard->post([waiting = open->second] { SimWait::wake(waiting->accepter); });
    }
    links.send(there, self, life, shard.actor(), attempt->last_back, answer);
  };
  links.send(self, there, nullptr, shard.actor(), attempt->last_there, std::move(arrive));

  const auto timer = shard.run_at(deadline, [attempt] { SimWait::wake(attempt->waiter); });
  SimWait wait(attempt->waiter);
  co_await wait;
  shard.cancel_timer(timer);
  auto endpoint = std::exchange(attempt->endpoint, nullptr);
  if (!attempt->answered)
    co_return fail(Code::timed_out, fmt::format("cannot connect to {}: timed out", name));
  if (!endpoint)
    co_return fail(Code::unavailable,
                   fmt::format("cannot connect to {}: connection refused", name));
  co_return std::make_unique<SimSocket>(std::move(endpoint));
}

Task<Result<std::vector<std::string>>> SimNetwork::look_up(const std::string& host) {
  if (!links_.find_host(host, shard_.life().host().index()))
    co_return fail(Code::invalid_argument, fmt::format("cannot resolve host '{}'", host));
  co_return std::vector{host};
}

}  // namespace paceline::env
