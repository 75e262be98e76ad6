#include "broker/node.h"

#include "base/log.h"
#include "broker/balancer.h"
#include "broker/event_topic.h"
#include "broker/mover.h"

namespace paceline::broker {
namespace {

// What clients send by default is at most a mebibyte; several of their requests fit below.
constexpr uint64_t kBigFrameBytes = 4u << 20;

}  // namespace
namespace {

constexpr env::Duration kStopWithin = std::chrono::seconds(15);

// A few frames of the usual limit of 1 MiB, many of the usual size.
constexpr uint64_t kReceiveBlockBytes = 4u << 20;

// Whether the same attempt may succeed later: the store or the disk fails, the data is not damaged.
bool passes(const Error& error) {
  return error.code == Code::unavailable || error.code == Code::timed_out ||
         error.code == Code::io_error || error.code == Code::no_space;
}

// Of a topic, as before.
bool same_configs(const cluster::TopicImage& topic, const cluster::Image& image,
                  const cluster::Image& before) {
  const cluster::TopicImage* old = before.topic(topic.id);
  return old && topic.configs == old->configs && image.broker_configs == before.broker_configs &&
         image.default_broker_configs == before.default_broker_configs;
}

std::shared_ptr<const cluster::TopicImage> find_topic(const cluster::Image& image,
                                                      std::string_view name) {
  const auto found = image.topics.find(name);
  return found == image.topics.end() ? nullptr : found->second;
}

// Partitions of a shard that open at a time: each crosses shards several times, and together they
// cross at once.
constexpr size_t kOpenAtOnce = 64;

}  // namespace

Hosted* ShardHost::find(const Uuid& topic_id, int32_t index) {
  auto found = hosted.find(StreamId{topic_id, static_cast<uint32_t>(index)});
  if (found == hosted.end() || !found->second->partition) return nullptr;
  return found->second.get();
}

void ShardHost::tell_client(const StreamId& id, std::string_view request) {
  Hosted* found = find(id);
  if (found && found->arrival) found->arrival->tell_client(request, found->served(*shard));
}

Node::Node(std::vector<env::Shard*> shards, cluster::Cluster& cluster, stream::Storage& storage,
           Settings settings, TopicConfigs topic_configs, Surroundings surroundings)
    : shard_(*shards.front()),
      cluster_(cluster),
      storage_(storage),
      settings_(std::move(settings)),
      topic_configs_(std::move(topic_configs)),
      surroundings_(std::move(surroundings)),
      memory_(settings_.request_memory_bytes - settings_.request_memory_bytes / 8),
      modest_(settings_.request_memory_bytes / 8),
      big_frames_(settings_.request_memory_bytes / 2),
      answers_(settings_.answer_memory_bytes),
      mover_(std::make_unique<Mover>(*this, shard_, cluster, storage)),
      balancer_(std::make_unique<Balancer>(*this, shard_)),
      image_event_(shard_),
      applied_event_(shard_),
      background_(shard_) {
  for (env::Shard* shard : shards) {
    hosts_.push_back(std::make_unique<ShardHost>(*shard));
    // Blocks that stay with their connections come on top of what requests hold: a quarter of it.
    hosts_.back()->receive_blocks = std::make_unique<env::BlockPool>(
        *shard, kReceiveBlockBytes,
        settings_.request_memory_bytes / 4 / kReceiveBlockBytes / shards.size());
  }
}

Node::~Node() = default;

Task<Node::FramePermit> Node::charge_frame(env::Shard& shard, uint64_t bytes, bool modest) {
  FramePermit permit;
  if (modest) {
    permit.of_all = co_await modest_.acquire(shard, bytes);
    co_return permit;
  }
  if (bytes > kBigFrameBytes) permit.of_big = co_await big_frames_.acquire(shard, bytes);
  permit.of_all = co_await memory_.acquire(shard, bytes);
  co_return permit;
}

ShardHost& Node::home_of(const Uuid& topic_id, int32_t index) {
  const size_t hash = std::hash<Uuid>{}(topic_id);
  return *hosts_[(hash + static_cast<uint32_t>(index)) % hosts_.size()];
}

Task<void> Node::start() {
  expect_own(*cluster_.image());
  cluster_.on_image(
      [this](std::shared_ptr<const cluster::Image> image) { follow(std::move(image)); });
  follow(cluster_.image());
  shard_.spawn(apply_images());
  while (!applied_) co_await applied_event_.wait();
  if (calls())
    calls()->on_call(
        [this](Lane from, Slice body) { return serve_call(from.broker, std::move(body)); });
  for (auto& host : hosts_)
    host->shard->post([this, target = host.get()] { target->shard->spawn(tick_loop(*target)); });
  if (calls()) shard_.spawn(run_balancer());
}

Task<void> Node::run_balancer() {
  auto pass = background_.enter();
  co_await balancer_->run();
}

void Node::follow(std::shared_ptr<const cluster::Image> image) {
  if (newest_ && image->revision < newest_->revision) return;
  newest_ = std::move(image);
  // At once: what is read while an image before this one is still applied is read the sooner.
  inherit(*newest_);
  image_event_.notify_all();
  balancer_->wake();
}

Task<void> Node::apply_images() {
  auto pass = background_.enter();
  while (!stopping_) {
    if (newest_ == applied_ && !look_again_) {
      co_await image_event_.wait();
      continue;
    }
    auto image = newest_;
    look_again_ = false;
    co_await apply(image);
    applied_ = image;
    applied_event_.notify_all();
    if (!unsettled_.empty()) co_await settle_estates();
  }
}

// Lanes of other brokers that were sealed with ours as a successor.
void Node::inherit(const cluster::Image& image) {
  for (const Lane& lane : image.left_to(cluster_.lane())) {
    if (!estates_.insert(lane).second) continue;
    unsettled_.insert(lane);
    left_at_ = shard_.now();
    storage_.inherit(lane, share_of(image, lane));
    expected_[lane] = std::make_shared<Arrival>(lane.to_string(), surroundings_.event,
                                                hosts_.size(), shard_.now());
  }
}

// One of the heirs reads the log of a lane for all of them: who comes first follows from the fence,
// so that it is the same to all, and not always the same broker.
stream::LogShare Node::share_of(const cluster::Image& image, const Lane& lane) const {
  stream::LogShare share;
  if (!calls()) return share;
  share.readers = [all = image.heirs, own = cluster_.lane()](Lane of) {
    std::vector<Lane> before_us;
    const auto heirs = all->find(of);
    if (heirs == all->end()) return before_us;
    const size_t count = heirs->second.size();
    const uint64_t turn = static_cast<uint64_t>(of.broker.value) + of.incarnation.value;
    for (size_t i = 0; i < count && heirs->second[(turn + i) % count] != own; ++i)
      before_us.push_back(heirs->second[(turn + i) % count]);
    return before_us;
  };
  share.ask = [to = calls()](env::Shard& home, stream::LogQuestion question,
                             env::Instant deadline) {
    const BrokerId whom = question.reader.broker;
    return to->call(home, whom, encode(PeerRequest(std::move(question))), deadline);
  };
  for (const auto& [name, topic] : image.topics)
    for (uint32_t index = 0; index < topic->partitions.size(); ++index) {
      const cluster::PartitionImage& partition = topic->partitions[index];
      if (partition.lane == cluster_.lane() && partition.from == lane)
        share.streams.push_back({topic->id, index});
    }
  return share;
}

// A restart is a failover to ourselves.
void Node::expect_own(const cluster::Image& image) {
  const Lane own = cluster_.lane();
  for (const auto& [name, topic] : image.topics)
    for (const cluster::PartitionImage& partition : topic->partitions)
      if (partition.lane == own && partition.from && partition.from->broker == own.broker &&
          !expected_.contains(*partition.from))
        expected_[*partition.from] = std::make_shared<Arrival>(
            partition.from->to_string(), surroundings_.event, hosts_.size(), shard_.now());
}

// The end of a failover for clients: everything that came to us is open, or known to be offline.
void Node::tell_arrivals() {
  for (const auto& [lane, arrival] : std::exchange(arrivals_, {})) arrival->tell_all();
}

void Node::note_arrival(ShardHost& host, Hosted& hosted, std::optional<Lane> from) {
  const auto arrival = from ? arrivals_.find(*from) : arrivals_.end();
  if (arrival == arrivals_.end()) return;
  if (!hosted.partition) return arrival->second->note_offline(*host.shard);
  arrival->second->note_open(*host.shard, hosted.served(*host.shard));
  // What brokers write there is no client's.
  if (hosted.topic != kEventsTopic) hosted.arrival = arrival->second;
}

// Once everything that we lead, as of a moment after the fences, is open here, nothing of them is
// missing.
Task<void> Node::settle_estates() {
  // Lanes that come to us meanwhile wait for the next time: this image may be older than they are.
  std::set<Lane> settling = std::exchange(unsettled_, {});
  auto newest = co_await cluster_.newest_image(shard_);
  if (!newest || stopping_) {
    unsettled_.merge(settling);
    co_return;
  }
  co_await apply(*newest);
  std::set<Lane> missing;
  for (auto& host : hosts_) {
    auto look = [](Node* node, ShardHost* target,
                   std::shared_ptr<const cluster::Image> image) -> Task<std::set<Lane>> {
      std::set<Lane> lanes;
      for (const auto& [name, topic] : image->topics)
        for (uint32_t index = 0; index < topic->partitions.size(); ++index) {
          const auto& partition = topic->partitions[index];
          if (&node->home_of(topic->id, static_cast<int32_t>(index)) != target) continue;
          if (partition.lane != node->cluster_.lane() || !partition.from) continue;
          // One that a move which is undecided here keeps from a former term is not the one.
          const Hosted* open = target->find(topic->id, static_cast<int32_t>(index));
#ifdef PACELINE_PLANT_former_term_counts
          if (open) continue;
#endif
          if (!open || open->partition->epoch() < partition.epoch) lanes.insert(*partition.from);
        }
      co_return lanes;
    };
    auto looking = [look, this, target = host.get(), image = *newest] {
      return look(this, target, image);
    };
    missing.merge(co_await env::call_on(*host->shard, shard_, looking));
  }
  for (const Lane& lane : settling)
    if (!missing.contains(lane)) storage_.inherited(lane);
  unsettled_.merge(missing);
}

// Brings the open partitions to what the image says, all shards in parallel, each in order.
Task<void> Node::apply(std::shared_ptr<const cluster::Image> image) {
  arrivals_ = std::exchange(expected_, {});
  env::Gate running(shard_);
  for (auto& host : hosts_) {
    auto on_shard = [](Node* node, ShardHost* target, std::shared_ptr<const cluster::Image> what,
                       env::Gate::Pass) -> Task<void> {
      auto applying = [node, target, what] { return node->apply_on(*target, what); };
      co_await env::call_on(*target->shard, node->shard_, applying);
    };
    shard_.spawn(on_shard(this, host.get(), image, running.enter()));
  }
  co_await running.wait_empty();
  tell_arrivals();
}

Task<void> Node::open_all(ShardHost& host, std::vector<Unopened> unopened,
                          std::shared_ptr<const cluster::Image> image) {
  size_t next = 0;
  auto open_some = [](Node* node, ShardHost* target, const std::vector<Unopened>* all, size_t* at,
                      std::shared_ptr<const cluster::Image> as_of, env::Gate::Pass) -> Task<void> {
    while (*at < all->size()) {
      const Unopened& one = (*all)[(*at)++];
      co_await node->open_on(*target, one.topic, one.index, as_of);
    }
  };
  env::Gate opening(*host.shard);
  for (size_t i = 0; i < std::min(kOpenAtOnce, unopened.size()); ++i)
    host.shard->spawn(open_some(this, &host, &unopened, &next, image, opening.enter()));
  co_await opening.wait_empty();
}

Task<void> Node::apply_on(ShardHost& host, std::shared_ptr<const cluster::Image> image) {
  std::vector<Unopened> unopened;
  for (const auto& [name, topic] : image->topics) {
    std::optional<partition::Config> config;  // made once a topic
    for (uint32_t index = 0; index < topic->partitions.size(); ++index) {
      if (&home_of(topic->id, static_cast<int32_t>(index)) != &host) continue;
      const auto& partition = topic->partitions[index];
      const StreamId id{topic->id, index};
      if (partition.leader.value < 0) continue;
      if (partition.lane != cluster_.lane()) {
        follow_leader(host, id, partition);
        const Relay* relay = host.find_relay(id);
        Hosted* served = host.find(id);
        // Its page says another lane, and no move of ours is under way.
        if (served && served->partition->epoch() < partition.epoch && !(relay && relay->moving)) {
          log_error("partition {}-{} is led by lane {}: it is closed here", name, index,
                    partition.lane.to_string());
          co_await close_on(host, id, false);
        }
        continue;
      }
      auto found = host.hosted.find(id);
      if (found == host.hosted.end()) {
        if (may_open(host, id, partition)) unopened.push_back({topic, index});
      } else if (found->second->partition) {
        if (!config) config = partition_config(*topic, *image);
        found->second->partition->set_config(*config);
      }
    }
  }
  co_await open_all(host, std::move(unopened), image);
  std::vector<StreamId> gone;
  for (const auto& [id, hosted] : host.hosted) {
    const Relay* relay = host.find_relay(id);
    if (!image->topics_by_id.contains(id.owner) && !(relay && relay->moving)) gone.push_back(id);
  }
  for (const StreamId& id : gone) co_await close_on(host, id, true);
  host.opened.notify_all();
  std::erase_if(host.relays, [now = host.shard->now()](const auto& one) {
    const Relay& relay = *one.second;
    return !relay.moving && relay.empty() && now >= relay.until;
  });
}

Task<void> Node::open_on(ShardHost& host, std::shared_ptr<const cluster::TopicImage> topic,
                         uint32_t index, std::shared_ptr<const cluster::Image> image) {
  const StreamId id{topic->id, index};
  auto entry = std::make_unique<Hosted>();
  Hosted& hosted = *entry;
  hosted.topic = topic->name;
  hosted.topic_id = topic->id;
  hosted.index = index;
  host.hosted.emplace(id, std::move(entry));
  const std::optional<Lane> from = topic->partitions[index].from;
  Result<void> opened = co_await try_open(host, hosted, std::move(image));
  note_arrival(host, hosted, from);
  if (opened) co_return;
  log_error("partition {}-{} is offline: {}", topic->name, index, opened.error().message);
  if (passes(opened.error())) host.shard->spawn(keep_opening(host, id));
}

Task<Result<void>> Node::try_open(ShardHost& host, Hosted& hosted,
                                  std::shared_ptr<const cluster::Image> image) {
  const cluster::TopicImage* topic = image->topic(hosted.topic_id);
  if (!topic || hosted.index >= topic->partitions.size())
    co_return fail(Code::not_found, "its topic is gone");
  hosted.opening = true;
  const cluster::PartitionImage led = topic->partitions[hosted.index];
  auto opened = co_await open_partition(host, hosted, *topic, *image, led.epoch, led.from);
  std::vector<Refusal> refused;
  if (opened && strangers_refused_.load(std::memory_order_relaxed))
    refused = co_await refused_before(host, hosted.topic, hosted.index);
  hosted.opening = false;
  host.opened.notify_all();
  if (!opened) {
    hosted.offline = opened.error().message;
    co_return fail(std::move(opened.error()));
  }
  if (hosted.coordinator) hosted.coordinator->bind(**opened);
  hosted.partition = std::move(*opened);
  hosted.offline.clear();
  for (const Refusal& refusal :
       host.refusals.of(hosted.topic, static_cast<int32_t>(hosted.index), host.shard->now()))
    refused.push_back(refusal);
  for (const Refusal& refusal : refused)
    hosted.partition->refused_before(refusal.producer_id, refusal.producer_epoch,
                                     refusal.base_sequence);
  // It may have been here before, and who waits for it goes on.
  const StreamId id{hosted.topic_id, hosted.index};
  if (Relay* relay = host.find_relay(id)) relay->retarget({cluster_.lane(), led.epoch});
  // Configuration may have changed meanwhile, when there was no partition to be told.
  const auto newest = this->image();
  const cluster::TopicImage* now = newest->topic(hosted.topic_id);
  if (now && !same_configs(*now, *newest, *image))
    hosted.partition->set_config(partition_config(*now, *newest));
  co_return Result<void>{};
}

void Node::refuse_stranger(const env::Shard& asked, std::string_view topic, int32_t index,
                           Bytes records) {
  host_of(asked).refusals.note(topic, index, records, asked.now());
  strangers_refused_.store(true, std::memory_order_relaxed);
}

// What connections of all shards were refused while the topic was unknown here.
Task<std::vector<Refusal>> Node::refused_before(ShardHost& host, std::string topic,
                                                uint32_t index) {
  auto look = [](ShardHost* from, std::string name, uint32_t which) -> Task<std::vector<Refusal>> {
    co_return from->refusals.of(name, static_cast<int32_t>(which), from->shard->now());
  };
  std::vector<Refusal> all;
  for (auto& other : hosts_) {
    auto looking = [look, from = other.get(), topic, index] { return look(from, topic, index); };
    for (const Refusal& refusal : co_await env::call_on(*other->shard, *host.shard, looking))
      all.push_back(refusal);
  }
  co_return all;
}

Task<Result<std::unique_ptr<partition::Partition>>> Node::open_partition(
    ShardHost& host, Hosted& hosted, const cluster::TopicImage& topic, const cluster::Image& image,
    Epoch epoch, std::optional<Lane> from) {
  // A coordinator that took in a part of what it replays is not good for a second attempt.
  if (hosted.topic == kOffsetsTopic)
    hosted.coordinator = group::Coordinator::create(*host.shard, settings_.group);
  partition::Partition::Options options{
      .shard = host.shard,
      .storage = &storage_,
      .stream = StreamId{hosted.topic_id, hosted.index},
      .name = hosted.topic + "-" + std::to_string(hosted.index),
      .epoch = epoch,
      .config = partition_config(topic, image),
      .attached = hosted.coordinator.get(),
      .from = from,
  };
  co_return co_await partition::Partition::open(std::move(options));
}

// A store that fails keeps a partition offline for as long as it fails, no longer.
Task<void> Node::keep_opening(ShardHost& host, StreamId id) {
  env::Duration pause = std::chrono::milliseconds(100);
  for (;;) {
    co_await env::sleep_for(*host.shard, pause);
    pause = std::min<env::Duration>(2 * pause, std::chrono::seconds(5));
    auto found = host.hosted.find(id);
    if (stopping() || found == host.hosted.end()) co_return;
    Hosted& hosted = *found->second;
    Result<void> opened = co_await try_open(host, hosted, image());
    if (opened) {
      log_info("partition {}-{} is online again", hosted.topic, hosted.index);
      co_return;
    }
    if (!passes(opened.error())) {
      log_error("partition {}-{} is offline: {}", hosted.topic, hosted.index,
                opened.error().message);
      co_return;
    }
  }
}

Task<void> Node::close_on(ShardHost& host, StreamId id, bool erase) {
  auto found = host.hosted.find(id);
  while (found != host.hosted.end() && found->second->opening) {
    co_await host.opened.wait();
    found = host.hosted.find(id);
  }
  if (found == host.hosted.end()) co_return;
  // Out of the map first: nobody finds it any more; those inside are waited for.
  std::unique_ptr<Hosted> hosted = std::move(found->second);
  host.hosted.erase(found);
  if (hosted->coordinator && hosted->partition && !stopping())
    co_await hosted->coordinator->close();
  if (hosted->partition) co_await hosted->partition->close();
  if (!erase) co_return;
  Result<void> erased = co_await storage_.erase(*host.shard, id);
  if (!erased)
    log_warn("cannot erase {}-{} yet: {}", hosted->topic, hosted->index, erased.error().message);
}

Task<void> Node::release_waiters() {
  released_.store(true, std::memory_order_relaxed);
  balancer_->wake();
  for (auto& host : hosts_) {
    auto close_all = [](ShardHost* target) -> Task<void> {
      std::vector<StreamId> ids;
      for (const auto& [id, hosted] : target->hosted)
        if (hosted->coordinator) ids.push_back(id);
      for (const StreamId& id : ids)
        if (Hosted* hosted = target->find(id)) co_await hosted->coordinator->close();
    };
    co_await env::call_on(*host->shard, shard_,
                          [close_all, target = host.get()] { return close_all(target); });
  }
}

Task<void> Node::stop() {
  stopping_ = true;
  image_event_.notify_all();
  // A move whose outcome the metadata store does not tell is not waited for: this life ends, and
  // what it had of it goes nowhere. It ends with the shards.
  const env::Instant until = shard_.now() + kStopWithin;
  while (background_.inside() > 0 && shard_.now() < until)
    co_await env::sleep_for(shard_, std::chrono::milliseconds(5));
  for (auto& host : hosts_) {
    auto close_all = [](Node* node, ShardHost* target) -> Task<void> {
      std::vector<StreamId> ids;
      for (const auto& [id, hosted] : target->hosted) ids.push_back(id);
      for (const StreamId& id : ids) co_await node->close_on(*target, id, false);
    };
    co_await env::call_on(*host->shard, shard_, [close_all, this, target = host.get()] {
      return close_all(this, target);
    });
  }
}

Task<void> Node::tick_loop(ShardHost& host) {
  for (;;) {
    co_await env::sleep_for(*host.shard, std::chrono::milliseconds(settings_.retention_check_ms));
    std::vector<StreamId> ids;
    for (const auto& [id, hosted] : host.hosted) ids.push_back(id);
    for (const StreamId& id : ids) {
      Hosted* hosted = host.find(id.owner, static_cast<int32_t>(id.index));
      if (hosted) co_await hosted->partition->tick(host.shard->wall_ms());
    }
  }
}

Task<bool> Node::wait_open(env::Shard& home, Uuid topic_id, env::Instant deadline,
                           size_t partitions) {
  auto wait = [](Node* node, Uuid id, env::Instant until, size_t count) -> Task<bool> {
    for (;;) {
      const auto* topic = node->applied_ ? node->applied_->topic(id) : nullptr;
      if (topic && topic->partitions.size() >= count) co_return true;
      if (!co_await node->applied_event_.wait_until(until)) co_return false;
    }
  };
  auto waiting = [wait, this, topic_id, deadline, partitions] {
    return wait(this, topic_id, deadline, partitions);
  };
  co_return co_await env::call_on(shard_, home, waiting);
}

Task<std::shared_ptr<const cluster::TopicImage>> Node::offsets_topic(env::Shard& home) {
  if (auto topic = find_topic(*image(), kOffsetsTopic)) co_return topic;
  cluster::NewTopic created;
  created.name = kOffsetsTopic;
  created.partition_count = settings_.offsets_topic_partitions;
  created.internal = true;
  created.configs = {{"cleanup.policy", "compact"},
                     {"compression.type", "producer"},
                     {"segment.bytes", "104857600"}};
  co_return co_await internal_topic(home, std::move(created));
}

Task<std::shared_ptr<const cluster::TopicImage>> Node::internal_topic(env::Shard& home,
                                                                      cluster::NewTopic wanted) {
  const std::string name = wanted.name;
  if (auto topic = find_topic(*image(), name)) co_return topic;
  if (stopping()) co_return nullptr;
  Result<Uuid> id = co_await cluster_.create_topic(home, std::move(wanted));
  if (!id && id.error().code != Code::already_exists) {
    log_warn("cannot create {}: {}", name, id.error().message);
    co_return nullptr;
  }
  auto topic = find_topic(*image(), name);
  if (topic) co_await wait_open(home, topic->id, home.now() + std::chrono::seconds(5));
  co_return topic;
}

int32_t Node::group_partition(std::string_view group) const {
  // Java's String.hashCode over UTF-16 units; group ids are ASCII nearly always, and for the rest
  // the code points of the basic plane are decoded here.
  uint32_t hash = 0;
  for (size_t at = 0; at < group.size();) {
    const auto byte = static_cast<unsigned char>(group[at]);
    uint32_t unit = byte;
    size_t length = 1;
    if (byte >= 0xc0 && byte < 0xe0 && at + 1 < group.size()) {
      unit = (byte & 0x1fu) << 6 | (static_cast<unsigned char>(group[at + 1]) & 0x3fu);
      length = 2;
    } else if (byte >= 0xe0 && byte < 0xf0 && at + 2 < group.size()) {
      unit = (byte & 0x0fu) << 12 | (static_cast<unsigned char>(group[at + 1]) & 0x3fu) << 6 |
             (static_cast<unsigned char>(group[at + 2]) & 0x3fu);
      length = 3;
    }
    hash = hash * 31 + unit;
    at += length;
  }
  const auto positive = static_cast<int32_t>(hash & 0x7fffffff);
  auto topic = image()->topic(kOffsetsTopic);
  const auto count = topic ? topic->partitions.size() : settings_.offsets_topic_partitions;
  return positive % static_cast<int32_t>(count);
}

void Node::auto_create(env::Shard& home, std::string name) {
  auto create = [](Node* node, env::Shard* asker, std::string topic) -> Task<void> {
    co_await env::call_on(node->shard_, *asker, [node, topic = std::move(topic)] {
      return node->create_in_background(topic);
    });
  };
  home.spawn(create(this, &home, std::move(name)));
}

Task<void> Node::create_in_background(std::string name) {
  if (stopping_ || creating_.contains(name) ||
      creating_.size() >= settings_.auto_create_pending_max)
    co_return;
  auto pass = background_.enter();
  creating_.emplace(name, true);
  cluster::NewTopic topic;
  topic.name = name;
  topic.partition_count = settings_.partitions_default;
  topic.replication_factor = settings_.replication_factor_default;
  Result<Uuid> created = co_await cluster_.create_topic(shard_, std::move(topic));
  if (created) {
    log_info("topic {} created on first use", name);
  } else if (created.error().code != Code::already_exists) {
    log_warn("cannot create topic {}: {}", name, created.error().message);
  }
  creating_.erase(name);
}

partition::Config Node::partition_config(const cluster::TopicImage& topic,
                                         const cluster::Image& image) const {
  return topic_configs_.partition_config(topic, image);
}

}  // namespace paceline::broker
