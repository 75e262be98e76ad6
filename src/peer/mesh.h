#pragma once

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "peer/link.h"

namespace paceline::peer {

// All connections of one broker and its detector. Calls of others are served in mesh_serve.cc.
class Mesh final : public Peers, public LinkHost, public std::enable_shared_from_this<Mesh> {
 public:
  Mesh(env::Shard& shard, Options options, std::unique_ptr<env::Listener> listener);
  void start();

  void on_dead(std::function<void(const Notice&)> listener) override;
  void on_event(std::function<void(const PeerEvent&)> listener) override;
  void on_call(Serve serve) override { serve_ = std::move(serve); }
  uint16_t port() const override { return listener_->port(); }
  void set_living(std::vector<Peer> peers) override;
  Task<Result<Slice>> call(BrokerId peer, Slice body, env::Instant deadline) override;
  std::vector<PeerHealth> health() const override;
  Task<void> stop() override;

 private:
  // A peer that called us.
  struct Caller {
    Lane lane;
    std::shared_ptr<Wire> wire;
    uint32_t calls = 0;  // being served
    uint64_t calls_bytes = 0;
  };

  void feed(const Detector::Event& event) override;
  bool silent(BrokerId broker) const override { return detector_.silent(broker); }
  void stranger(Lane meant, std::string words) override;
  void perform(Detector::Action action);
  void tell(PeerEvent event);
  static Task<void> tick_loop(Mesh& mesh, env::Gate::Pass);

  static Task<void> accept_loop(Mesh& mesh, env::Gate::Pass);
  static Task<void> serve(Mesh& mesh, std::shared_ptr<Wire> wire, env::Gate::Pass);
  // The caller, if its first frame says who it is and it is welcome.
  std::shared_ptr<Caller> greet(const Frame& frame, std::shared_ptr<Wire> wire);
  Task<void> listen_to(std::shared_ptr<Caller> caller);
  bool take(const std::shared_ptr<Caller>& caller, const Frame& frame);
  bool take_call(const std::shared_ptr<Caller>& caller, const Frame& frame);
  static Task<void> serve_call(Mesh& mesh, std::shared_ptr<Caller> caller, uint64_t number,
                               Slice body, env::Gate::Pass);
  void close_stale_callers();

  env::Shard& shard_;
  const Options options_;
  const std::unique_ptr<env::Listener> listener_;
  Detector detector_;
  std::function<void(const Notice&)> on_dead_;
  std::function<void(const PeerEvent&)> on_event_;
  Serve serve_;
  std::map<BrokerId, std::shared_ptr<Link>> links_;
  std::list<std::weak_ptr<Wire>> incoming_;  // greeted or not
  std::list<std::shared_ptr<Caller>> callers_;
  env::Instant pinged_at_{};
  bool stopping_ = false;
  env::Event stop_;
  env::Gate gate_;
};

}  // namespace paceline::peer
