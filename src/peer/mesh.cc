#include "peer/mesh.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace paceline::peer {

using namespace std::chrono_literals;

Mesh::Mesh(env::Shard& shard, Options options, std::unique_ptr<env::Listener> listener)
    : shard_(shard),
      options_(std::move(options)),
      listener_(std::move(listener)),
      detector_(options_.self, options_.bounds, shard.now()),
      stop_(shard),
      gate_(shard) {}

void Mesh::start() {
  shard_.spawn(accept_loop(*this, gate_.enter()));
  shard_.spawn(tick_loop(*this, gate_.enter()));
}

void Mesh::on_dead(std::function<void(const Notice&)> listener) {
  on_dead_ = std::move(listener);
}

void Mesh::on_event(std::function<void(const PeerEvent&)> listener) {
  on_event_ = std::move(listener);
}

void Mesh::set_living(std::vector<Peer> peers) {
  if (stopping_) return;
  Detector::Living living;
  std::map<BrokerId, std::shared_ptr<Link>> before = std::exchange(links_, {});
  std::vector<std::shared_ptr<Link>> added;
  for (Peer& peer : peers) {
    const BrokerId id = peer.lane.broker;
    if (id == options_.self.broker || links_.contains(id)) continue;
    living.peers.push_back(peer.lane);
    auto old = before.find(id);
    if (old != before.end() && old->second->peer().lane == peer.lane &&
        old->second->peer().address == peer.address) {
      links_.emplace(id, std::move(old->second));
      before.erase(old);
      continue;
    }
    added.push_back(std::make_shared<Link>(shard_, options_, *this, std::move(peer)));
    links_.emplace(id, added.back());
  }
  feed(living);
  // A link that stops says nothing any more; an incarnation that stays and has moved was unreached.
  for (auto& [id, link] : before) {
    feed(Detector::Unreached{link->peer().lane});
    link->stop();
  }
  for (auto& link : added) link->start(gate_);
  close_stale_callers();
}

Task<Result<Slice>> Mesh::call(BrokerId peer, Slice body, env::Instant deadline) {
  const auto found = links_.find(peer);
  if (found == links_.end() || stopping_)
    co_return fail(Code::unavailable, fmt::format("broker {} is not known", peer.value));
  const std::shared_ptr<Link> link = found->second;
  co_return co_await link->call(std::move(body), deadline);
}

std::vector<PeerHealth> Mesh::health() const {
  auto all = detector_.health(shard_.now());
  for (PeerHealth& one : all) {
    const auto link = links_.find(one.peer.broker);
    if (link != links_.end()) one.round_trip = link->second->round_trip();
  }
  return all;
}

Task<void> Mesh::stop() {
  stopping_ = true;
  listener_->close();
  stop_.notify_all();
  std::vector<std::shared_ptr<Wire>> wires;
  for (auto& [id, link] : links_) {
    link->retire();
    if (Wire* wire = link->wire()) wires.push_back(wire->shared_from_this());
  }
  for (auto& one : incoming_)
    if (auto wire = one.lock()) wires.push_back(std::move(wire));
  for (auto& wire : wires) {
    wire->send(encode_empty(FrameKind::goodbye, 0));
    wire->finish();
  }
  // Who does not take it learns of our end otherwise.
  const auto timer = shard_.run_at(shard_.now() + 200ms, [wires] {
    for (auto& wire : wires) wire->close();
  });
  for (auto& wire : wires)
    while (wire->open()) co_await env::sleep_for(shard_, 1ms);
  shard_.cancel_timer(timer);
  for (auto& [id, link] : links_) link->stop();
  co_await gate_.wait_empty();
  links_.clear();
}

void Mesh::feed(const Detector::Event& event) {
  if (stopping_) return;
  for (auto& action : detector_.step(shard_.now(), event)) perform(std::move(action));
}

void Mesh::stranger(Lane meant, std::string words) {
  tell({PeerEvent::Kind::stranger, meant, std::move(words)});
}

void Mesh::perform(Detector::Action action) {
  if (auto* notice = std::get_if<Notice>(&action)) {
    log_warn("broker {} is dead, evidence {}: {}", notice->peer.to_string(),
             evidence_name(notice->evidence), notice->words);
    shard_.post([weak = weak_from_this(), told = std::move(*notice)] {
      if (auto self = weak.lock(); self && self->on_dead_) self->on_dead_(told);
    });
  } else if (auto* event = std::get_if<PeerEvent>(&action)) {
    tell(std::move(*event));
  } else if (const auto* ask = std::get_if<Detector::Ask>(&action)) {
    const auto link = links_.find(ask->witness.broker);
    if (link == links_.end() || link->second->peer().lane != ask->witness) return;
    if (Wire* wire = link->second->wire())
      wire->send(encode_frame(ask->question, Question{ask->about}));
  } else if (const auto* redial = std::get_if<Detector::Redial>(&action)) {
    const auto link = links_.find(redial->peer.broker);
    if (link != links_.end()) link->second->doubt();
  }
}

void Mesh::tell(PeerEvent event) {
  log_info("{} {}: {}", event_name(event.kind), event.peer.to_string(), event.words);
  shard_.post([weak = weak_from_this(), told = std::move(event)] {
    if (auto self = weak.lock(); self && self->on_event_) self->on_event_(told);
  });
}

Task<void> Mesh::tick_loop(Mesh& mesh, env::Gate::Pass) {
  const env::Duration every = mesh.detector_.tick_every();
  while (!mesh.stopping_) {
    co_await mesh.stop_.wait_until(mesh.shard_.now() + every);
    if (mesh.stopping_) break;
    mesh.feed(Detector::Tick{});
    // Half a tick early is in time: a ping must not fall behind by the granularity of ticks.
    const env::Instant now = mesh.shard_.now();
    if (now - mesh.pinged_at_ < mesh.options_.bounds.ping_every - every / 2) continue;
    mesh.pinged_at_ = now;
    for (auto& [id, link] : mesh.links_) link->ping();
  }
}

Result<std::unique_ptr<Peers>> Peers::open(env::Shard& shard, Options options) {
  TRY(auto listener, shard.network().listen(options.listen.host, options.listen.port));
  return open(shard, std::move(options), std::move(listener));
}

std::unique_ptr<Peers> Peers::open(env::Shard& shard, Options options,
                                   std::unique_ptr<env::Listener> listener) {
  CHECK(options.bounds.ping_every >= 1ms && options.bounds.silent_after > 0ms);
  options.call_bytes_max = std::min(options.call_bytes_max, kCallBytesMax);
  // What is posted may find us gone: that needs a shared owner, which the caller need not see.
  class Owner final : public Peers {
   public:
    explicit Owner(std::shared_ptr<Mesh> mesh) : mesh_(std::move(mesh)) {}
    void on_dead(std::function<void(const Notice&)> listener_of) override {
      mesh_->on_dead(std::move(listener_of));
    }
    void on_event(std::function<void(const PeerEvent&)> listener_of) override {
      mesh_->on_event(std::move(listener_of));
    }
    void on_call(Serve serve) override { mesh_->on_call(std::move(serve)); }
    uint16_t port() const override { return mesh_->port(); }
    void set_living(std::vector<Peer> peers) override { mesh_->set_living(std::move(peers)); }
    Task<Result<Slice>> call(BrokerId peer, Slice body, env::Instant deadline) override {
      return mesh_->call(peer, std::move(body), deadline);
    }
    std::vector<PeerHealth> health() const override { return mesh_->health(); }
    Task<void> stop() override { return mesh_->stop(); }

   private:
    const std::shared_ptr<Mesh> mesh_;
  };
  auto mesh = std::make_shared<Mesh>(shard, std::move(options), std::move(listener));
  mesh->start();
  return std::make_unique<Owner>(std::move(mesh));
}

}  // namespace paceline::peer
