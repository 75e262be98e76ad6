#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/shard.h"
#include "meta/records.h"
#include "meta/store.h"

// Who leads what: registration, topics, pages of partitions, epochs. It decides, and tells the host
// through Listener.

namespace paceline::cluster {

// Brokers in an order. Copies share them: most partitions of a big topic have one of a few lists.
class BrokerList {
 public:
  BrokerList() = default;
  BrokerList(std::vector<BrokerId> ids)  // NOLINT(google-explicit-constructor)
      : ids_(std::make_shared<const std::vector<BrokerId>>(std::move(ids))) {}
  operator const std::vector<BrokerId>&() const {  // NOLINT(google-explicit-constructor)
    static const std::vector<BrokerId> kNone;
    return ids_ ? *ids_ : kNone;
  }
  const std::vector<BrokerId>& get() const { return *this; }
  auto begin() const { return get().begin(); }
  auto end() const { return get().end(); }
  size_t size() const { return get().size(); }
  bool empty() const { return get().empty(); }
  BrokerId front() const { return get().front(); }
  BrokerId operator[](size_t i) const { return get()[i]; }
  bool operator==(const BrokerList& other) const { return get() == other.get(); }
  bool operator==(const std::vector<BrokerId>& other) const { return get() == other; }

 private:
  std::shared_ptr<const std::vector<BrokerId>> ids_;
};

struct PartitionImage {
  BrokerId leader;           // -1: nobody
  Lane lane;                 // the leader's
  std::optional<Lane> from;  // the sealed lane that it comes from, unless the page says `lane`
  Epoch epoch;               // the leader epoch in force, the chain of sealed lanes included
  // Those that can serve it: in the order of preference if the leader is among the preferred, else
  // the leader first.
  BrokerList replicas;
  BrokerList preferred;  // as written down
};
struct TopicImage {
  std::string name;
  Uuid id;
  bool internal = false;
  int16_t replication_factor = 1;
  std::map<std::string, std::string> configs;  // those set on the topic itself
  std::vector<PartitionImage> partitions;      // by index
};
struct BrokerImage {
  BrokerId id;
  Incarnation incarnation;
  std::vector<meta::Endpoint> endpoints;  // for clients
  std::string rack;
  std::optional<meta::Endpoint> peer;  // for brokers; those of before had none
};

// For so long a broker that is gone is remembered, for clients (broker/api_metadata.cc).
inline constexpr env::Duration kGoneKept = std::chrono::seconds(5);

// One that was registered, as this broker saw it go.
struct GoneBroker {
  BrokerImage broker;
  env::Instant at;
};

// What this broker knows, at one metadata revision. Immutable: shared by all shards.
struct Image {
  Uuid cluster_id;
  Revision revision;
  std::vector<BrokerImage> brokers;  // live ones, by id
  std::vector<GoneBroker> gone;      // no longer than kGoneKept ago, and not back
  // Sealed lanes, and who shares what each has left.
  std::shared_ptr<const std::map<Lane, std::vector<Lane>>> heirs;
  std::map<std::string, std::shared_ptr<const TopicImage>, std::less<>> topics;
  std::map<Uuid, std::shared_ptr<const TopicImage>> topics_by_id;
  std::map<std::string, std::string> broker_configs;          // dynamic, of this broker
  std::map<std::string, std::string> default_broker_configs;  // dynamic, of all brokers

  const TopicImage* topic(std::string_view name) const;
  const TopicImage* topic(const Uuid& id) const;
  // Lanes of other brokers that name this one as a successor.
  std::vector<Lane> left_to(const Lane& lane) const;
};

// What a broker knows of the place where it writes its log, and others could write theirs. Called
// on the cluster's shard.
struct LogPlace {
  // For how long something of ours has been on its way there without word of anything.
  std::function<env::Duration()> waits;
  std::function<Task<bool>(env::Duration within)> answers;  // asks whether it is there for us
};

struct Options {
  BrokerId broker;
  std::vector<meta::Endpoint> endpoints;  // advertised; meta::kPeerListener is for brokers
  std::string rack;
  std::optional<Uuid> cluster_id;  // demanded; refuse to run in another cluster
  // Beside other brokers: whoever is not heard of for so long is fenced by them. 0: alone.
  std::chrono::seconds lease{0};
  // Of incarnations that are ended here because their lease did. Empty: nobody listens.
  EventSink events = {};
  // Who cannot reach it is no leader, and no judge of others. Empty: as if it were always there.
  LogPlace log = {};
};

// For each partition the brokers that are to have it, the preferred leader first. Empty: all who
// are registered, in turn.
using Assignments = std::vector<std::vector<BrokerId>>;

struct NewTopic {
  std::string name;
  uint32_t partition_count = 1;
  int16_t replication_factor = 1;
  bool internal = false;
  std::map<std::string, std::string> configs;
  Assignments assigned = {};
};

// A partition on its way to another broker, as its leader knew it when the move began. A move is
// one write of its page, compared with `page`: so whoever writes the page first decides about it.
struct Moving {
  StreamId stream;
  Revision page;  // of its page
  Epoch epoch;    // in force; the new leader's is one above
};
// What became of a fence.
struct Fenced {
  bool by_us = false;  // else somebody was faster
  Revision at;         // of our transaction; 0: there was none
  size_t successors = 0;
};
struct Preference {
  StreamId stream;
  std::vector<BrokerId> brokers;
};

class Cluster {
 public:
  virtual ~Cluster() = default;

  // Registers a new incarnation of the broker on `shard`. One transaction fences the incarnation
  // before it, if any: its lane is sealed with ours as the successor, and ours is created open.
  // in_use: the demanded cluster id is another one's.
  static Task<Result<std::unique_ptr<Cluster>>> join(env::Shard& shard, meta::Store& meta,
                                                     Options options);

  virtual Lane lane() const = 0;
  // The fence that our own registration was, if an incarnation of this broker was registered still.
  virtual std::optional<Revision> fenced_former() const = 0;
  virtual Uuid cluster_id() const = 0;

  // The image as last followed; any shard. Every change this broker makes is in it on return.
  virtual std::shared_ptr<const Image> image() const = 0;
  // Called on the cluster's shard after each new image, in order.
  virtual void on_image(std::function<void(std::shared_ptr<const Image>)> listener) = 0;

  // Errors: already_exists, not_found, invalid_argument (with the reason), maybe_written,
  // unavailable. From any shard; resumes on `home`.
  virtual Task<Result<Uuid>> create_topic(env::Shard& home, NewTopic topic) = 0;
  virtual Task<Result<void>> delete_topic(env::Shard& home, std::string name) = 0;
  // `assigned`: of the new partitions.
  virtual Task<Result<void>> grow_topic(env::Shard& home, std::string name,
                                        uint32_t partition_count, Assignments assigned = {}) = 0;
  // Replaces the topic's own configs by what `change` makes of them.
  using ConfigChange = std::function<void(std::map<std::string, std::string>&)>;
  virtual Task<Result<void>> change_topic_configs(env::Shard& home, std::string name,
                                                  ConfigChange change) = 0;
  virtual Task<Result<void>> change_broker_configs(env::Shard& home, std::optional<BrokerId> id,
                                                   ConfigChange change) = 0;
  // A producer id never given before, in the whole cluster.
  virtual Task<Result<int64_t>> next_producer_id(env::Shard& home) = 0;

  // Ends an incarnation of another broker: its lane is sealed, and all who are registered now share
  // what it led, but for those who are `doubtful`. One transaction, whatever it led. Fine if
  // somebody else was faster. unavailable: nothing is known, ask again.
  virtual Task<Result<Fenced>> fence(env::Shard& home, Lane lane,
                                     std::vector<BrokerId> doubtful) = 0;
  // The image once everything that was committed before this call is in it.
  virtual Task<Result<std::shared_ptr<const Image>>> newest_image(env::Shard& home) = 0;

  // Planned moves. On the source: partitions that we lead, as the metadata are now. conflict: we do
  // not lead one of them.
  virtual Task<Result<std::vector<Moving>>> begin_moves(env::Shard& home,
                                                        std::vector<StreamId> streams) = 0;
  // On the target: makes us the leader of all of them, or of none, in one transaction with what
  // `own` holds. conflict: they will never be ours by it, because a page has changed or one of both
  // brokers is not registered any more. maybe_written, fenced: nothing is known, and what `own`
  // writes tells.
  virtual Task<Result<Revision>> take_over(env::Shard& home, Lane source, std::vector<Moving> moves,
                                           meta::Transaction own) = 0;
  // On the source, which does not know the outcome: whether they have moved. If not, they never
  // will: a page is written anew. unavailable: nothing is known, ask again.
  virtual Task<Result<bool>> call_off(env::Shard& home, std::vector<Moving> moves) = 0;
  // Writes down who is preferred as the leader, with the term in force. REQUIRES: we lead them, and
  // they are open here. conflict: we do not.
  virtual Task<Result<void>> prefer(env::Shard& home, std::vector<Preference> preferences) = 0;

  // Once storage has recovered: writes the terms of our partitions down in their pages, so that the
  // chain of sealed lanes stays short. In the background; safe to be cut at any point.
  virtual Task<Result<void>> materialise(env::Shard& home) = 0;
  // Ends the watch and all background work. The registration stays: the next join fences it.
  virtual Task<void> stop(env::Shard& home) = 0;
};

// Who leads each partition, read from the metadata by whoever is no broker; those that nobody leads
// are not in it. corrupt: a record cannot be decoded.
Task<Result<std::map<StreamId, BrokerId>>> read_leaders(env::Shard& shard, meta::Store& store);

}  // namespace paceline::cluster
