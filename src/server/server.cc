#include "server/server.h"

#include "base/log.h"
#include "broker/broker.h"
#include "net/http.h"
#include "object/metered.h"
#include "server/event_writer.h"
#include "server/log_place.h"
#include "server/metrics_text.h"
#include "server/peering.h"
#include "server/stale_metadata.h"
#include "wal/wal.h"

namespace paceline::server {

// In the order in which they are made; they go in the reverse order.
struct Server::Parts {
  explicit Parts(env::Disk& on) : disk(on) {}

  env::Disk& disk;
  std::vector<std::unique_ptr<env::Listener>> listeners;
  std::unique_ptr<env::Listener> peer_listener;
  std::unique_ptr<env::FileLock> lock;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<meta::Store> metadata;
  OpenObjects objects;
  std::string principal;
  StoreTraffic traffic;
  std::vector<std::unique_ptr<object::Store>> views;  // of the objects, one a purpose
  std::shared_ptr<wal::ObjectWalCounters> slots;      // of a WAL among the objects
  std::unique_ptr<wal::Wal> wal;
  std::unique_ptr<cluster::Cluster> cluster;
  std::unique_ptr<Peering> peering;
  std::unique_ptr<stream::Storage> storage;
  std::unique_ptr<broker::Broker> broker;
  std::unique_ptr<EventWriter> event_writer;
  std::unique_ptr<net::HttpServer> admin;
  env::Instant started{};
  bool ready = false;
};

namespace {

// One a batch that is sent on and one a partition that somebody waits for: their bytes are the
// bound.
constexpr uint32_t kPeerCallsMax = 8192;

net::HttpResponse text_response(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; version=0.0.4";
  response.body = std::move(body);
  return response;
}

// Null node: the broker does not serve yet.
struct Asked {
  broker::Node* node = nullptr;
  StoreFigures figures;
  const EventLog* events = nullptr;
  env::Instant started;
};
Task<net::HttpResponse> admin_answer(Asked asked, env::Shard& shard, net::HttpRequest request) {
  const std::string_view target = request.target;
  if (target == "/livez" || target == "/startupz") co_return text_response(200, "ok\n");
  if (target == "/readyz" || target == "/v1/status/ready" || target == "/metrics") {
    if (!asked.node) co_return text_response(503, "not ready: recovery is running\n");
    if (target == "/metrics")
      co_return text_response(200, co_await metrics_text(*asked.node, shard, asked.started,
                                                         asked.figures, *asked.events));
    co_return text_response(200, "ready\n");
  }
  co_return text_response(404, "there are /metrics, /readyz, /livez and /startupz\n");
}

}  // namespace

Server::Server(std::vector<env::Shard*> shards, env::Disk& disk, Options options)
    : shards_(std::move(shards)),
      shard_(*shards_.front()),
      options_(std::move(options)),
      parts_(std::make_unique<Parts>(disk)) {}

Server::~Server() = default;

broker::Node& Server::node() {
  return parts_->broker->node();
}

uint16_t Server::admin_port() const {
  return parts_->admin ? parts_->admin->port() : 0;
}

const std::string& Server::principal() const {
  return parts_->principal;
}

Task<Result<void>> Server::start() {
  parts_->started = shard_.now();
  CO_TRY_VOID(bind_ports());
  CO_TRY_VOID(start_admin());
  CO_TRY_VOID(open_folder());
  CO_TRY_VOID(co_await open_places());
  CO_TRY_VOID(co_await probe_objects());
  CO_TRY_VOID(co_await join());
  meet_peers();
  CO_TRY_VOID(co_await open_storage());
  broker::Surroundings surroundings{.calls = parts_->peering.get(),
                                    .event = parts_->events->sink()};
  parts_->broker = std::make_unique<broker::Broker>(
      shards_, *parts_->cluster, *parts_->storage, std::move(parts_->listeners), options_.settings,
      broker::TopicConfigs(options_.given), std::move(surroundings));
  co_await parts_->broker->start();
  shard_.spawn(materialise());
  parts_->ready = true;
  parts_->events->record(Event(Event::Plane::control, "broker.ready")
                             .about(parts_->cluster->lane())
                             .took(shard_.now() - parts_->started));
  if (options_.settings.events_topic) {
    parts_->event_writer = std::make_unique<EventWriter>(shard_, *parts_->events, node());
    parts_->event_writer->start();
  }
  co_return Result<void>{};
}

Result<void> Server::bind_ports() {
  broker::Settings& settings = options_.settings;
  for (meta::Endpoint& endpoint : settings.listeners) {
    TRY(auto listener, shard_.network().listen(endpoint.host, endpoint.port));
    for (meta::Endpoint& advertised : settings.advertised) {
      if (advertised.listener == endpoint.listener && advertised.port == 0)
        advertised.port = listener->port();
    }
    endpoint.port = listener->port();
    parts_->listeners.push_back(std::move(listener));
  }
  if (!options_.peer) return {};
  PeerPort& port = *options_.peer;
  TRY(parts_->peer_listener, shard_.network().listen(port.listen.host, port.listen.port));
  port.listen.port = parts_->peer_listener->port();
  if (port.advertised.port == 0) port.advertised.port = port.listen.port;
  port.advertised.listener = meta::kPeerListener;
  return {};
}

Result<void> Server::start_admin() {
  if (!options_.admin) return {};
  auto answer = [this](net::HttpRequest request) {
    const Asked asked{
        parts_->ready ? &node() : nullptr,
        {&parts_->traffic, parts_->objects.s3 ? &parts_->objects.s3->stats() : nullptr,
         parts_->slots.get()},
        parts_->events.get(),
        parts_->started};
    return admin_answer(asked, shard_, std::move(request));
  };
  parts_->admin = std::make_unique<net::HttpServer>(shard_, answer);
  return parts_->admin->listen(options_.admin->host, options_.admin->port);
}

Result<void> Server::open_folder() {
  TRY_VOID(parts_->disk.make_dirs(options_.data));
  auto lock = parts_->disk.lock(options_.data + "/LOCK");
  if (!lock && lock.error().code == Code::in_use)
    return fail(Code::in_use, fmt::format("another broker is using {}", options_.data));
  if (!lock) return fail(lock.error());
  parts_->lock = std::move(*lock);
  if (options_.places.metadata_is_local())
    TRY_VOID(refuse_missing_metadata(parts_->disk, options_.data));
  parts_->events = std::make_unique<EventLog>(shard_, parts_->disk, options_.data);
  return {};
}

Task<Result<void>> Server::open_places() {
  Parts& parts = *parts_;
  const Places& places = options_.places;
  if (options_.open_metadata) {
    CO_TRY(parts.metadata, options_.open_metadata(shard_));
  } else {
    CO_TRY(parts.metadata, co_await open_metadata(shard_, parts.disk, places, options_.data));
  }
  if (places.metadata_is_local())
    CO_TRY_VOID(co_await refuse_stale_metadata(shard_, *parts.metadata, options_.data));
  if (options_.open_objects) {
    CO_TRY(parts.objects.store, options_.open_objects(parts.disk));
  } else {
    CO_TRY(parts.objects, co_await open_objects(shard_, parts.disk, places, options_.data));
  }
  for (size_t i = 0; i < kPurposes.size(); ++i)
    parts.views.push_back(object::make_metered(*parts.objects.store, parts.traffic.all[i]));
  co_return Result<void>{};
}

// A store that is only out of reach is waited for, as everywhere; one that cannot be relied on is
// refused.
Task<Result<void>> Server::probe_objects() {
  if (!parts_->objects.s3) co_return Result<void>{};
  env::Instant next_line{};
  for (;;) {
    auto principal = co_await parts_->objects.s3->probe(shard_);
    if (principal) {
      parts_->principal =
          fmt::format("bucket {} at {}, as {} ({})", principal->bucket, principal->endpoint,
                      principal->access_key, principal->source);
      co_return Result<void>{};
    }
    if (principal.error().code != Code::unavailable && principal.error().code != Code::timed_out)
      co_return fail(principal.error());
    if (shard_.now() >= next_line) {
      next_line = shard_.now() + std::chrono::seconds(10);
      log_warn("the start waits for the object store: {}", principal.error().message);
    }
    co_await env::sleep_for(shard_, std::chrono::milliseconds(500));
  }
}

Task<Result<void>> Server::join() {
  Parts& parts = *parts_;
  const broker::Settings& settings = options_.settings;
  const bool alone = options_.places.metadata_is_local();
  cluster::Options options{settings.broker,
                           settings.advertised,
                           settings.rack,
                           options_.cluster_id,
                           alone ? std::chrono::seconds(0) : options_.lease,
                           parts.events->sink()};
  if (options_.peer) options.endpoints.push_back(options_.peer->advertised);
  if (options_.places.wal_is_objects()) {
    parts.slots = std::make_shared<wal::ObjectWalCounters>();
    options.log = log_place(shard_, *parts.views[static_cast<size_t>(Purpose::wal)], parts.slots);
  }
  CO_TRY(parts.cluster, co_await cluster::Cluster::join(shard_, *parts.metadata, options));
  parts.events->begin(parts.cluster->lane());
  tell_joined();
  // A fenced broker acknowledges nothing; it must not answer reads for ever either.
  parts.cluster->on_image([this](std::shared_ptr<const cluster::Image> image) {
    const Lane ours = parts_->cluster->lane();
    for (const cluster::BrokerImage& broker : image->brokers)
      if (broker.id == ours.broker && broker.incarnation > ours.incarnation)
        lose(Error{
            Code::fenced,
            fmt::format("incarnation {} of broker {} is registered; this one was {}",
                        broker.incarnation.value, ours.broker.value, ours.incarnation.value)});
    if (image->heirs->contains(ours))
      lose(Error{Code::fenced,
                 fmt::format("lane {} was fenced: others lead what it led", ours.to_string())});
  });
  co_return Result<void>{};
}

void Server::tell_joined() {
  EventLog& events = *parts_->events;
  const Lane lane = parts_->cluster->lane();
  if (const auto fenced = parts_->cluster->fenced_former()) {
    const Lane former{lane.broker, lane.incarnation - 1};
    events.record(Event(Event::Plane::control, "broker.noticed")
                      .caused_by(former.to_string())
                      .about(former)
                      .with("evidence", "registered_anew"));
    events.record(Event(Event::Plane::control, "broker.fenced")
                      .caused_by(former.to_string())
                      .about(former)
                      .with("revision", fenced->value)
                      .with("successors", 1));
  }
  events.record(Event(Event::Plane::control, "broker.joined")
                    .about(lane)
                    .with("rack", options_.settings.rack)
                    .with("brokers", parts_->cluster->image()->brokers.size()));
}

// From here on a death is noticed, ours as well as theirs, also while we recover.
void Server::meet_peers() {
  if (!options_.peer) return;
  Parts& parts = *parts_;
  const Uuid cluster_id = parts.cluster->cluster_id();
  const Lane self = parts.cluster->lane();
  auto peers = peer::Peers::open(shard_,
                                 {.cluster_id = cluster_id,
                                  .self = self,
                                  .bounds = options_.peer->bounds,
                                  .calls_max = kPeerCallsMax},
                                 std::move(parts.peer_listener));
  auto heard = [this, cluster_id, self](const std::vector<peer::Address>& all) {
    if (heard_peers_) heard_peers_(cluster_id, self, all);
  };
  parts.peering = std::make_unique<Peering>(shard_, *parts.cluster, parts.events->sink(),
                                            std::move(peers), std::move(heard));
  parts.cluster->on_image(
      [this](std::shared_ptr<const cluster::Image> image) { parts_->peering->follow(*image); });
  parts.peering->follow(*parts.cluster->image());
}

// The last ones may go to another broker: connections are there still.
Task<void> Server::stop_events() {
  parts_->events->record(
      Event(Event::Plane::control, "broker.stopping").about(parts_->cluster->lane()));
  co_await env::yield(shard_);
  co_await parts_->event_writer->stop();
}

void Server::lose(Error why) {
  if (std::exchange(lost_, true)) return;
  parts_->events->record(Event(Event::Plane::control, "broker.lost")
                             .caused_by(parts_->cluster->lane().to_string())
                             .about(parts_->cluster->lane())
                             .with("reason", why.message));
  if (heard_lost_) heard_lost_(std::move(why));
}

Task<Result<void>> Server::open_storage() {
  Parts& parts = *parts_;
  auto view = [&](Purpose purpose) -> object::Store& {
    return *parts.views[static_cast<size_t>(purpose)];
  };
  const Uuid cluster_id = parts.cluster->cluster_id();
  if (options_.places.wal_is_objects()) {
    wal::ObjectWalOptions options;
    options.cluster_id = cluster_id;
    options.self = parts.cluster->lane();
    options.window = std::chrono::milliseconds(options_.wal_window_ms);
    options.counters = parts.slots;
    parts.wal = wal::make_object_wal(view(Purpose::wal), std::move(options));
  } else {
    wal::FileWalOptions options;
    options.folder = wal_folder(options_.places, options_.data);
    options.cluster_id = cluster_id;
    options.segment_bytes = options_.wal_segment_bytes;
    parts.wal = wal::make_file_wal(parts.disk, std::move(options));
  }
  stream::Options options;
  options.cluster_id = cluster_id;
  options.lane = parts.cluster->lane();
  options.upload_bytes = options_.upload_bytes;
  options.upload_age_ms = options_.upload_age_ms;
  options.log_cache_bytes = options_.memory_bytes * 3 / 16;
  options.block_cache_bytes = options_.memory_bytes / 32 * 3;
  // A reader takes a block in several bites: some have to fit in a shard's part of the cache.
  options.block_bytes = std::clamp<uint64_t>(options.block_cache_bytes / shards_.size() / 16,
                                             4ull << 10, options.block_bytes);
  options.read_bytes_in_flight = options_.memory_bytes / 32;
  options.compaction_bytes = options_.memory_bytes / 16;
  options.compaction_object_bytes =
      std::min(options.compaction_object_bytes, options.compaction_bytes / 2);
  options.compaction_fan_in = options_.compaction_fan_in;
  options.compress_blocks = options_.compress_blocks;
  options.left_to = [&cluster = *parts.cluster](const Lane& lane) {
    return cluster.image()->left_to(lane);
  };
  options.leads = [&cluster = *parts.cluster, ours = options.lane](const StreamId& id) {
    const auto image = cluster.image();
    const cluster::TopicImage* topic = image->topic(id.owner);
    if (!topic || id.index >= topic->partitions.size()) return true;
    const cluster::PartitionImage& partition = topic->partitions[id.index];
    return partition.leader.value < 0 || partition.lane == ours;
  };
  stream::ObjectStores objects(view(Purpose::upload), view(Purpose::read), view(Purpose::catch_up),
                               view(Purpose::compaction), view(Purpose::recovery),
                               view(Purpose::collection));
  CO_TRY(parts.storage, co_await stream::Storage::start(shards_, *parts.metadata, objects,
                                                        *parts.wal, options, parts.events->sink()));
  parts.storage->on_lost([this](Error why) { lose(std::move(why)); });
  co_return Result<void>{};
}

Task<void> Server::materialise() {
  Result<void> done = co_await parts_->cluster->materialise(shard_);
  if (!done) log_warn("the terms of partitions are not written down yet: {}", done.error().message);
}

Task<void> Server::stop() {
  parts_->ready = false;
  if (parts_->admin) parts_->admin->close();
  if (parts_->broker) co_await parts_->broker->node().drain();
  if (parts_->event_writer) co_await stop_events();
  if (parts_->peering) parts_->peering->on_call(nullptr);
  if (parts_->broker) co_await parts_->broker->stop();
  if (parts_->storage)
    co_await parts_->storage->stop(shard_, shard_.now() + std::chrono::seconds(10));
  // Until here an end would have been a death. The lease is given up at once behind it.
  if (parts_->peering) co_await parts_->peering->stop();
  if (parts_->cluster) co_await parts_->cluster->stop(shard_);
}

}  // namespace paceline::server
