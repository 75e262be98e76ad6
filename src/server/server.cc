#include "server/server.h"

#include "base/log.h"
#include "broker/broker.h"
#include "net/http.h"
#include "server/event_log.h"
#include "server/metrics_text.h"
#include "server/stale_metadata.h"
#include "wal/wal.h"

namespace paceline::server {

// In the order in which they are made; they go in the reverse order.
struct Server::Parts {
  explicit Parts(env::Disk& on) : disk(on) {}

  env::Disk& disk;
  std::vector<std::unique_ptr<env::Listener>> listeners;
  std::unique_ptr<env::FileLock> lock;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<meta::Store> metadata;
  std::unique_ptr<object::Store> objects;
  std::unique_ptr<wal::Wal> wal;
  std::unique_ptr<cluster::Cluster> cluster;
  std::unique_ptr<stream::Storage> storage;
  std::unique_ptr<broker::Broker> broker;
  std::unique_ptr<net::HttpServer> admin;
  env::Instant started{};
  bool ready = false;
};

namespace {

net::HttpResponse text_response(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; version=0.0.4";
  response.body = std::move(body);
  return response;
}

// `node` is null until the broker serves.
Task<net::HttpResponse> admin_answer(broker::Node* node, env::Shard& shard, env::Instant started,
                                     net::HttpRequest request) {
  const std::string_view target = request.target;
  if (target == "/livez" || target == "/startupz") co_return text_response(200, "ok\n");
  if (target == "/readyz" || target == "/v1/status/ready" || target == "/metrics") {
    if (!node) co_return text_response(503, "not ready: recovery is running\n");
    if (target == "/metrics")
      co_return text_response(200, co_await metrics_text(*node, shard, started));
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

Task<Result<void>> Server::start() {
  parts_->started = shard_.now();
  CO_TRY_VOID(bind_ports());
  CO_TRY_VOID(start_admin());
  CO_TRY_VOID(open_folder());
  CO_TRY_VOID(co_await open_storage());
  parts_->broker = std::make_unique<broker::Broker>(shards_, *parts_->cluster, *parts_->storage,
                                                    std::move(parts_->listeners), options_.settings,
                                                    broker::TopicConfigs(options_.given));
  co_await parts_->broker->start();
  shard_.spawn(materialise());
  parts_->ready = true;
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
  return {};
}

Result<void> Server::start_admin() {
  if (!options_.admin) return {};
  parts_->admin = std::make_unique<net::HttpServer>(shard_, [this](net::HttpRequest request) {
    return admin_answer(parts_->ready ? &node() : nullptr, shard_, parts_->started,
                        std::move(request));
  });
  return parts_->admin->listen(options_.admin->host, options_.admin->port);
}

Result<void> Server::open_folder() {
  TRY_VOID(parts_->disk.make_dirs(options_.data));
  auto lock = parts_->disk.lock(options_.data + "/LOCK");
  if (!lock && lock.error().code == Code::in_use)
    return fail(Code::in_use, fmt::format("another broker is using {}", options_.data));
  if (!lock) return fail(lock.error());
  parts_->lock = std::move(*lock);
  TRY_VOID(refuse_missing_metadata(parts_->disk, options_.data));
  parts_->events = std::make_unique<EventLog>(shard_, parts_->disk, options_.data);
  return {};
}

Task<Result<void>> Server::open_storage() {
  Parts& parts = *parts_;
  CO_TRY(parts.metadata,
         meta::open_sqlite_store(parts.disk, shard_, options_.data + "/metadata.sqlite"));
  CO_TRY_VOID(co_await refuse_stale_metadata(shard_, *parts.metadata, options_.data));
  CO_TRY(parts.objects, object::open_folder_store(parts.disk, options_.data + "/objects"));
  if (options_.wrap_objects) parts.objects = options_.wrap_objects(std::move(parts.objects));
  const broker::Settings& settings = options_.settings;
  cluster::Options join{settings.broker, settings.advertised, settings.rack, options_.cluster_id};
  CO_TRY(parts.cluster, co_await cluster::Cluster::join(shard_, *parts.metadata, join));
  parts.events->set_cause(parts.cluster->lane().to_string());
  wal::FileWalOptions wal_options;
  wal_options.folder = options_.data + "/wal";
  wal_options.cluster_id = parts.cluster->cluster_id();
  wal_options.segment_bytes = options_.wal_segment_bytes;
  parts.wal = wal::make_file_wal(parts.disk, std::move(wal_options));
  stream::Options options;
  options.cluster_id = parts.cluster->cluster_id();
  options.lane = parts.cluster->lane();
  options.upload_bytes = options_.upload_bytes;
  options.upload_age_ms = options_.upload_age_ms;
  options.log_cache_bytes = options_.memory_bytes * 3 / 16;
  options.block_cache_bytes = options_.memory_bytes / 8;
  auto events = [log = parts.events.get()](std::string_view name, std::string detail) {
    log->record(name, detail);
  };
  CO_TRY(parts.storage, co_await stream::Storage::start(shards_, *parts.metadata, *parts.objects,
                                                        *parts.wal, options, events));
  parts.storage->on_lost(heard_lost_);
  co_return Result<void>{};
}

Task<void> Server::materialise() {
  Result<void> done = co_await parts_->cluster->materialise(shard_);
  if (!done) log_warn("the terms of partitions are not written down yet: {}", done.error().message);
}

Task<void> Server::stop() {
  parts_->ready = false;
  if (parts_->admin) parts_->admin->close();
  if (parts_->broker) co_await parts_->broker->stop();
  if (parts_->storage)
    co_await parts_->storage->stop(shard_, shard_.now() + std::chrono::seconds(10));
  if (parts_->cluster) co_await parts_->cluster->stop(shard_);
}

}  // namespace paceline::server
