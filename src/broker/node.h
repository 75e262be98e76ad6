#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/answer_memory.h"
#include "broker/arrival.h"
#include "broker/complaints.h"
#include "broker/early.h"
#include "broker/load.h"
#include "broker/metrics.h"
#include "broker/peer_format.h"
#include "broker/refusals.h"
#include "broker/relay.h"
#include "broker/settings.h"
#include "broker/surroundings.h"
#include "broker/topic_config.h"
#include "cluster/cluster.h"
#include "env/block_pool.h"
#include "env/budget.h"
#include "env/sync.h"
#include "group/group.h"
#include "partition/partition.h"
#include "stream/stream.h"

namespace paceline::broker {

inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

class Balancer;
class Connection;
class Mover;

// A partition that this broker leads, and the coordinator that lives in it if it is one of
// __consumer_offsets. On its own shard.
struct Hosted {
  std::string topic;
  Uuid topic_id;
  uint32_t index = 0;
  // Constructed before the partition, which replays into it, and destroyed after.
  std::unique_ptr<group::Coordinator> coordinator;
  std::unique_ptr<partition::Partition> partition;  // null while it opens, or if it cannot
  std::string offline;                              // why it cannot be served; empty if it can
  bool opening = false;                             // a task holds on to this
  PartitionLoad load;
  std::shared_ptr<Arrival> arrival;  // how it came here, if that is told

  // REQUIRES for the rest: it is open.
  Arrival::Served served(const env::Shard& shard) const {
    return {topic, index, partition->epoch(), partition->high_watermark(), shard.now()};
  }
  // A client that is answered now is the first one since it came.
  bool awaits_client() const { return arrival && arrival->is_first(); }
};

// The partitions of one shard.
struct ShardHost {
  explicit ShardHost(env::Shard& on) : shard(&on), load(on.now()), opened(on) {}

  env::Shard* shard;
  std::unordered_map<StreamId, std::unique_ptr<Hosted>> hosted;
  Metrics metrics;
  ShardLoad load;
  std::unique_ptr<env::BlockPool> receive_blocks;  // of its connections
  // An attempt to open a partition has come to its end, or an image is applied.
  env::Event opened;
  Early early{opened};
  Complaints complaints;
  Refusals refusals;
  std::array<bool, Metrics::kApisMax> left_over_told{};  // by API
  // Where streams that others lead lie, for consumers near us on connections of this shard.
  struct KnownExcerpt {
    Slice bytes;
    env::Instant until;
  };
  std::unordered_map<StreamId, KnownExcerpt> excerpts;
  // Connections that wait for their client to read, in the order in which they began to.
  std::list<Connection*> unread;

  // Of planned moves. Partitions that are, or were lately, on their way from here to another
  // broker.
  std::unordered_map<StreamId, std::shared_ptr<Relay>> relays;
  // Partitions that were given away, with the epoch of that: what an image says of an earlier epoch
  // is out of date.
  std::unordered_map<StreamId, Epoch> given_up;
  std::set<StreamId> arriving;  // being opened, not committed yet

  // Null: requests go to the partition here, or nowhere.
  Relay* find_relay(const StreamId& id);
  Relay& relay(const StreamId& id, Relay::Target here);
  Hosted* find(const StreamId& id) { return find(id.owner, static_cast<int32_t>(id.index)); }
  void note_read(const StreamId& id, uint64_t bytes) {
    if (Hosted* read = bytes > 0 ? find(id) : nullptr) load.add(id, read->load, bytes);
  }
  // The open partition, or null: not ours, still opening, or offline.
  Hosted* find(const Uuid& topic_id, int32_t index);
  void tell_client(const StreamId& id, std::string_view request);
};

// What all handlers share: who leads what and where its state lives. It follows the cluster's image
// and opens and closes partitions on their shards.
class Node {
 public:
  Node(std::vector<env::Shard*> shards, cluster::Cluster& cluster, stream::Storage& storage,
       Settings settings, TopicConfigs topic_configs, Surroundings surroundings);
  ~Node();

  // Opens every partition this broker leads; returns when all are served or known to be offline.
  Task<void> start();
  // First half of the end: whoever waits in a coordinator or a long poll is answered.
  Task<void> release_waiters();
  // Before it, at a planned end: gives away what is led here, to brokers that are registered, and
  // sends requests on for as long as clients still come with them. Bounded by the settings; in the
  // end those that still come are sent away.
  Task<void> drain();

  // Closes all partitions. Nothing is served after.
  Task<void> stop();
  bool stopping() const { return released_.load(std::memory_order_relaxed); }

  const Settings& settings() const { return settings_; }
  const TopicConfigs& topic_configs() const { return topic_configs_; }
  cluster::Cluster& cluster() { return cluster_; }
  stream::Storage& storage() { return storage_; }
  const Surroundings& surroundings() const { return surroundings_; }
  env::Budget& memory() { return memory_; }
  const env::Budget& modest_memory() const { return modest_; }
  AnswerMemory& answers() { return answers_; }
  // What a connection may hold of the eighth of the memory that is kept for those who have little
  // in flight: they do not queue up behind hundreds who pipeline megabytes.
  static constexpr uint64_t kModestBytes = 96u << 10;
  // The memory of one request. Big frames have half of it for themselves and no more, so that a few
  // of them that hardly arrive leave room for everybody else's.
  struct FramePermit {
    env::Budget::Permit of_all;
    env::Budget::Permit of_big;
    uint64_t bytes() const { return of_all.bytes(); }
    void release() {
      of_all.release();
      of_big.release();
    }
  };
  // `modest`: with it the connection holds at most kModestBytes.
  Task<FramePermit> charge_frame(env::Shard& shard, uint64_t bytes, bool modest);
  // Bytes of produce requests that have been admitted and are not answered. Any shard.
  std::atomic<uint64_t>& produce_bytes() { return produce_bytes_; }
  std::shared_ptr<const cluster::Image> image() const { return cluster_.image(); }
  size_t shard_count() const { return hosts_.size(); }
  ShardHost& host(size_t shard) { return *hosts_[shard]; }
  ShardHost& host_of(const env::Shard& shard) { return *hosts_[shard.index()]; }
  // Where the state of a partition lives.
  ShardHost& home_of(const Uuid& topic_id, int32_t index);

  // Answers a question of another broker. On the first shard; begun in the order of arrival.
  Task<Result<Slice>> serve_call(BrokerId from, Slice body);
  // Asks the broker that is to know, which may be this one. From any shard.
  Task<Result<std::vector<Outcome>>> ask(env::Shard& home, BrokerId whom, PeerRequest request);
  // What is served here, and how we are. On the first shard.
  Task<LoadAnswer> load();
  // Has leadership balanced by who balances. From any shard.
  Task<BalanceAnswer> balance(env::Shard& home, bool dry_run);
  PeerCalls* calls() const { return surroundings_.calls; }
  void note_forward(env::Instant now) {
    last_forward_ms_.store(
        std::chrono::duration_cast<std::chrono::milliseconds>(now.since_start).count(),
        std::memory_order_relaxed);
  }
  // The two last steps of drain(), for connections on any shard. Those that were there before
  // parting() end behind the next answer.
  bool parting() const { return parting_.load(std::memory_order_relaxed); }
  // What is led elsewhere is refused.
  bool lets_go() const { return lets_go_.load(std::memory_order_relaxed); }
  // Something was put off that the image says.
  void look_again();
  // The partition, without anybody being able to find it. On the host's shard.
  Task<Result<std::unique_ptr<partition::Partition>>> open_partition(
      ShardHost& host, Hosted& hosted, const cluster::TopicImage& topic,
      const cluster::Image& image, Epoch epoch, std::optional<Lane> from);
  Task<void> close_on(ShardHost& host, StreamId id, bool erase);

  // Waits (any shard) until all partitions of the topic are open here, or the deadline passes.
  Task<bool> wait_open(env::Shard& home, Uuid topic_id, env::Instant deadline,
                       size_t partitions = 0);

  // The topic of the group coordinators, made when it is first needed; null if it cannot be yet.
  Task<std::shared_ptr<const cluster::TopicImage>> offsets_topic(env::Shard& home);
  // In the same manner any topic of ours. A broker that ends makes none.
  Task<std::shared_ptr<const cluster::TopicImage>> internal_topic(env::Shard& home,
                                                                  cluster::NewTopic topic);
  // Which partition of it a group belongs to: Kafka's own hash, because tools compute it too.
  int32_t group_partition(std::string_view group) const;

  // A produce to a topic that is not known here yet, on the shard where it was asked.
  void refuse_stranger(const env::Shard& asked, std::string_view topic, int32_t index,
                       Bytes records);

  // Creates a topic in the background because a client asked for it by name.
  void auto_create(env::Shard& home, std::string name);

  partition::Config partition_config(const cluster::TopicImage& topic,
                                     const cluster::Image& image) const;

 private:
  void follow(std::shared_ptr<const cluster::Image> image);
  Task<void> apply_images();
  Task<void> apply(std::shared_ptr<const cluster::Image> image);
  void inherit(const cluster::Image& image);
  stream::LogShare share_of(const cluster::Image& image, const Lane& lane) const;
  void expect_own(const cluster::Image& image);
  void tell_arrivals();
  Task<bool> no_forwards(env::Instant since, env::Duration at_most);
  void note_arrival(ShardHost& host, Hosted& hosted, std::optional<Lane> from);
  Task<void> settle_estates();
  struct Unopened {
    std::shared_ptr<const cluster::TopicImage> topic;
    uint32_t index;
  };
  Task<void> open_all(ShardHost& host, std::vector<Unopened> unopened,
                      std::shared_ptr<const cluster::Image> image);
  Task<void> open_on(ShardHost& host, std::shared_ptr<const cluster::TopicImage> topic,
                     uint32_t index, std::shared_ptr<const cluster::Image> image);
  // One attempt; nothing, or why not.
  Task<Result<void>> try_open(ShardHost& host, Hosted& hosted,
                              std::shared_ptr<const cluster::Image> image);
  Task<std::vector<Refusal>> refused_before(ShardHost& host, std::string topic, uint32_t index);
  Task<void> keep_opening(ShardHost& host, StreamId id);
  Task<void> apply_on(ShardHost& host, std::shared_ptr<const cluster::Image> image);
  bool may_open(ShardHost& host, const StreamId& id, const cluster::PartitionImage& partition);
  void follow_leader(ShardHost& host, const StreamId& id, const cluster::PartitionImage& partition);
  Task<std::vector<Outcome>> serve_here(PeerRequest request);
  Task<void> run_balancer();
  Task<void> tick_loop(ShardHost& host);
  Task<void> create_in_background(std::string name);

  env::Shard& shard_;  // the first: follows images
  cluster::Cluster& cluster_;
  stream::Storage& storage_;
  const Settings settings_;
  const TopicConfigs topic_configs_;
  const Surroundings surroundings_;
  env::Budget memory_;  // of requests, with modest_
  env::Budget modest_;
  env::Budget big_frames_;  // a part of memory_, taken before it
  AnswerMemory answers_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Balancer> balancer_;
  std::atomic<int64_t> last_forward_ms_{0};  // of a request of a client, in ms since the start
  std::atomic<bool> parting_{false};
  std::atomic<bool> lets_go_{false};
  std::atomic<uint64_t> produce_bytes_{0};
  std::atomic<bool> strangers_refused_{false};  // ever
  std::vector<std::unique_ptr<ShardHost>> hosts_;

  // On shard_.
  std::shared_ptr<const cluster::Image> newest_;
  std::shared_ptr<const cluster::Image> applied_;
  env::Event image_event_;    // newest_ changed
  env::Event applied_event_;  // applied_ changed
  env::Gate background_;
  std::set<Lane> estates_;    // of other brokers, left to us
  std::set<Lane> unsettled_;  // those of them of which something may be missing yet
  // By the lane that what comes has been in: what newest_ brought, and what is being applied, which
  // shards look at meanwhile.
  std::map<Lane, std::shared_ptr<Arrival>> expected_;
  std::map<Lane, std::shared_ptr<Arrival>> arrivals_;
  env::Instant left_at_;  // the last of them
  bool stopping_ = false;
  bool look_again_ = false;  // at the image that was applied last
  std::atomic<bool> released_{false};
  std::map<std::string, bool> creating_;
};

}  // namespace paceline::broker
