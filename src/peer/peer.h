#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/network.h"
#include "env/shard.h"
#include "peer/notice.h"

// Connections between all brokers of a cluster: who lives, by evidence; questions and answers.

namespace paceline::peer {

struct Address {
  std::string host;
  uint16_t port = 0;
  bool operator==(const Address&) const = default;
};
struct Peer {
  Lane lane;
  Address address;  // of its port for peers
};

struct Options {
  Uuid cluster_id;
  Lane self;
  Address listen = {};  // port 0: any; not used with a port that is bound already
  Bounds bounds = {};
  uint32_t call_bytes_max = 64u << 20;   // one call's body, one answer's; at most 128 MiB
  uint32_t calls_max = 64;               // under way on one connection
  uint64_t calls_bytes_max = 64u << 20;  // their bodies together; one call may always go
  size_t connections_max = 1024;         // of others to us
};

// One a broker, on one shard, touched there only. It has one connection to each peer, and each peer
// one to it, so that either direction that works is heard. What it says is told by posts: a
// listener may call anything here.
class Peers {
 public:
  virtual ~Peers() = default;
  // Listens, and connects to nobody yet. in_use, permission_denied, invalid_argument.
  static Result<std::unique_ptr<Peers>> open(env::Shard& shard, Options options);
  // With a port that was bound before `self` was known. `listener` is of `shard`.
  static std::unique_ptr<Peers> open(env::Shard& shard, Options options,
                                     std::unique_ptr<env::Listener> listener);

  // REQUIRES of these three: before set_living().
  virtual void on_dead(std::function<void(const Notice&)> listener) = 0;
  virtual void on_event(std::function<void(const PeerEvent&)> listener) = 0;
  // Serves calls; several at a time, in no order. An error says that nothing was done, and its
  // message goes to the caller, who gets `unavailable`.
  using Serve = std::function<Task<Result<Slice>>(Lane from, Slice body)>;
  virtual void on_call(Serve serve) = 0;

  virtual uint16_t port() const = 0;
  // All living brokers, at each change of the image; ourselves among them or not.
  virtual void set_living(std::vector<Peer> peers) = 0;
  // Asks a peer. too_large; unavailable: not connected, or it refused, and nothing was done;
  // timed_out: nothing has left; maybe_written: it may have been served.
  virtual Task<Result<Slice>> call(BrokerId peer, Slice body, env::Instant deadline) = 0;
  virtual std::vector<PeerHealth> health() const = 0;
  // Says goodbye to all and ends. A planned stop: what is led must have been given away before.
  // Waits for calls that are being served. Must have returned before the object goes, unless the
  // shard has ended.
  virtual Task<void> stop() = 0;
};

}  // namespace paceline::peer
