#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/node.h"
#include "object/object.h"
#include "peer/peer.h"
#include "server/places.h"

namespace paceline::server {

// The port for other brokers.
struct PeerPort {
  meta::Endpoint listen;      // port 0: any
  meta::Endpoint advertised;  // what they are told; port 0: the one that was bound
  peer::Bounds bounds = {};
};

struct Options {
  // A listener's port 0 asks for any; once started, these tell the real one.
  broker::Settings settings;
  std::string data;  // the folder that holds what has no other place
  Places places;
  std::optional<Uuid> cluster_id;       // demanded: the data of another cluster is refused
  std::optional<meta::Endpoint> admin;  // nothing = none
  uint64_t memory_bytes = 1ull << 30;   // shared out as docs/limits.md says
  uint64_t upload_bytes = 64ull << 20;
  int64_t upload_age_ms = 20'000;
  uint32_t compaction_fan_in = 64;  // short extents, or small objects, that become one
  bool compress_blocks = false;     // of objects, where it saves a tenth or more
  uint64_t wal_segment_bytes = 128ull << 20;
  std::map<std::string, std::string> given;  // configuration by Kafka's names
  int64_t wal_window_ms = 25;                // of a WAL among the objects
  // Beside other brokers, where metadata are shared. No port: a death is noticed by the lease
  // alone.
  std::optional<PeerPort> peer;
  std::chrono::seconds lease{5};
  // What a simulation puts in the places of metadata and objects.
  std::function<Result<std::unique_ptr<meta::Store>>(env::Shard&)> open_metadata;
  std::function<Result<std::unique_ptr<object::Store>>(env::Disk&)> open_objects;
};

// One broker, whole: metadata, objects, WAL, storage, cluster and the Kafka side, wired together on
// a world that somebody else made. Owned by the first shard; shards and disk outlive it.
class Server {
 public:
  Server(std::vector<env::Shard*> shards, env::Disk& disk, Options options);
  ~Server();

  // Binds every port before anything is touched on disk, then recovers and serves. After an error
  // it can only be destroyed; the message is one sentence for the operator.
  Task<Result<void>> start();
  // Uploads what it can in ten seconds and ends. REQUIRES: start() has returned.
  Task<void> stop();
  // The log cannot be written any more, or a newer incarnation of this broker is registered:
  // nothing will be acknowledged again, and the process should end. Called on the first shard, at
  // most once. REQUIRES: given before start().
  void on_lost(std::function<void(Error)> heard) { heard_lost_ = std::move(heard); }

  // Where the other brokers listen for brokers, in numbers, each time that changes; before start().
  using PeersHeard = std::function<void(const Uuid& cluster_id, Lane self,
                                        const std::vector<peer::Address>& peers)>;
  void on_peers(PeersHeard heard) { heard_peers_ = std::move(heard); }

  const Options& options() const { return options_; }
  // REQUIRES for the rest: start() has succeeded.
  broker::Node& node();
  uint16_t admin_port() const;  // 0 = none
  // Who we are to the object store, for the banner; empty for a folder.
  const std::string& principal() const;

 private:
  struct Parts;
  Result<void> bind_ports();
  Result<void> start_admin();
  Result<void> open_folder();
  Task<Result<void>> open_places();
  Task<Result<void>> probe_objects();
  Task<Result<void>> join();
  void tell_joined();
  void meet_peers();
  Task<Result<void>> open_storage();
  void lose(Error why);
  Task<void> materialise();
  Task<void> stop_events();

  const std::vector<env::Shard*> shards_;
  env::Shard& shard_;
  Options options_;
  std::function<void(Error)> heard_lost_;
  PeersHeard heard_peers_;
  bool lost_ = false;
  std::unique_ptr<Parts> parts_;
};

}  // namespace paceline::server
