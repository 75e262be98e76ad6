#pragma once

#include <deque>
#include <map>
#include <memory>

#include "peer/detector.h"
#include "peer/peer.h"
#include "peer/wire.h"

namespace paceline::peer {

// What a link tells, and asks, of who owns it. It outlives the link's tasks.
class LinkHost {
 public:
  virtual void feed(const Detector::Event& event) = 0;
  virtual bool silent(BrokerId broker) const = 0;
  virtual void stranger(Lane meant, std::string words) = 0;

 protected:
  ~LinkHost() = default;
};

// Our connection to one incarnation: dialled, greeted, kept, dialled again at once when it breaks;
// and the calls over it. Owned by shared_ptr; its tasks hold it.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(env::Shard& shard, const Options& options, LinkHost& host, Peer peer);
  void start(env::Gate& gate);
  // Dials no more; what stands stays.
  void retire();
  // And closes what stands. It says nothing any more.
  void stop();

  const Peer& peer() const { return peer_; }
  Wire* wire() const { return wire_.get(); }
  env::Duration round_trip() const { return round_trip_; }
  void ping();
  // The peer is silent: dials beside what stands, and lets nobody wait for an answer on that.
  void doubt();
  Task<Result<Slice>> call(Slice body, env::Instant deadline);

 private:
  // A call that has been given to the wire. It keeps its room until it is answered, also when
  // nobody waits for it any more: the other side counts it.
  struct Pending {
    explicit Pending(env::Shard& shard) : done(shard) {}
    env::Event done;
    uint64_t bytes = 0;
    std::shared_ptr<bool> begun = std::make_shared<bool>(false);
    std::optional<Result<Slice>> outcome;
  };
  struct Dialled {
    std::shared_ptr<Wire> wire;
    Welcome welcome;
  };

  static Task<void> run(std::shared_ptr<Link> self, env::Gate& gate, env::Gate::Pass);
  static Task<void> read_loop(std::shared_ptr<Link> self, std::shared_ptr<Wire> wire,
                              env::Gate::Pass);
  Task<Result<Dialled>> dial(env::Gate& gate);
  Result<Welcome> greeted(const Frame& frame);
  void use(Dialled dialled, env::Gate& gate);
  bool take(const Frame& frame);  // false: it does not belong here
  bool has_room(uint64_t bytes) const;
  void settle(uint64_t number, Result<Slice> outcome);
  void break_calls();

  env::Shard& shard_;
  const Options& options_;
  LinkHost& host_;
  const Peer peer_;
  std::shared_ptr<Wire> wire_;  // greeted, and not known to be broken
  Welcome welcome_;
  env::Event changed_;
  bool stopped_ = false;
  std::string last_refusal_;  // told once

  uint64_t last_ping_ = 0;
  env::Instant pinged_at_{};
  env::Duration round_trip_{0};

  std::map<uint64_t, std::shared_ptr<Pending>> pending_;  // of this wire
  uint64_t pending_bytes_ = 0;
  uint64_t last_call_ = 0;
  std::deque<uint64_t> turns_;  // of those who wait for room
  uint64_t last_turn_ = 0;
  env::Event room_;
};

}  // namespace paceline::peer
