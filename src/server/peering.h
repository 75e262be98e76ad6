#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "broker/surroundings.h"
#include "cluster/cluster.h"
#include "env/sync.h"
#include "peer/peer.h"

namespace paceline::server {

// This broker among the others: it keeps the connections to those who are registered, fences who is
// dead by evidence, and carries calls. On the first shard, but for call().
class Peering final : public broker::PeerCalls {
 public:
  // All ports of the others, in numbers.
  using AddressesHeard = std::function<void(const std::vector<peer::Address>&)>;

  Peering(env::Shard& shard, cluster::Cluster& cluster, EventSink events,
          std::unique_ptr<peer::Peers> peers, AddressesHeard heard);

  // A new image of the cluster.
  void follow(const cluster::Image& image);
  Task<Result<Slice>> call(env::Shard& home, BrokerId to, Slice body,
                           env::Instant deadline) override;
  void on_call(Serve serve) override { serve_ = std::move(serve); }
  Task<void> decided(env::Shard& home) override;
  std::vector<peer::PeerHealth> health() const { return peers_->health(); }
  // Says goodbye to all: a planned stop. Waits for calls that are being served, so whoever serves
  // them must be able to. Must have returned before the object goes, unless the shard has ended.
  Task<void> stop();

 private:
  struct Known {
    Lane lane;
    meta::Endpoint at;                     // as its record says
    std::optional<peer::Address> address;  // whom we connect to; nothing: being looked up
    std::vector<peer::Address> numbers;    // of `at`; none: not known yet
  };
  bool knows(Lane lane) const;
  Task<void> look_up(Lane lane, env::Gate::Pass pass);
  void tell_addresses();
  void note(const peer::PeerEvent& event);
  Task<void> fence(peer::Notice notice, env::Gate::Pass pass);
  void tell_noticed(const peer::Notice& notice) const;
  bool believed_dead(Lane lane) const;
  std::vector<BrokerId> doubtful() const;
  Task<Result<Slice>> serve(Lane from, Slice body);
  void doubt(Lane lane);
  void doubt_no_more(Lane lane);
  void tell_doubts();
  Task<void> wait_decided(env::Gate::Pass pass);

  env::Shard& shard_;
  cluster::Cluster& cluster_;
  const EventSink events_;
  const std::unique_ptr<peer::Peers> peers_;
  const AddressesHeard heard_;
  Serve serve_;
  std::map<BrokerId, Known> known_;
  // Who is registered and was lost: until when its fate is waited for. It stays, decided or not,
  // until the image knows it no more.
  std::map<Lane, env::Instant> doubts_;
  std::atomic<env::Instant> doubtful_until_{};  // the last of them
  env::Event doubts_event_;
  bool stopping_ = false;
  env::Event stop_;
  env::Gate background_;
};

}  // namespace paceline::server
