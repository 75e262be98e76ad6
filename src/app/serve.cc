#include "app/serve.h"

#include <csignal>
#include <thread>

#include "app/event_log.h"
#include "app/metrics_text.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/node.h"
#include "env/forgetting_disk.h"
#include "env/real_env.h"
#include "net/http.h"
#include "object/object.h"
#include "wal/wal.h"

namespace paceline::app {
namespace {

constexpr std::string_view kVersion = "0.1.0";

// Everything of one broker, in the order in which it is made; it goes in the reverse order.
struct Life {
  explicit Life(env::RealEnv& world) : env(world), shard(world.shard(0)), changed(shard) {}

  env::RealEnv& env;
  env::Shard& shard;
  std::unique_ptr<env::Disk> forgetting;
  env::Disk* disk = nullptr;
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
  bool stop_asked = false;
  std::optional<Error> lost;
  env::Event changed;  // stop_asked or lost
};

std::vector<env::Shard*> shards_of(env::RealEnv& env) {
  std::vector<env::Shard*> shards;
  for (size_t index = 0; index < env.shard_count(); ++index) shards.push_back(&env.shard(index));
  return shards;
}

Result<void> bind_ports(Life& life, Config& config) {
  for (size_t index = 0; index < config.settings.listeners.size(); ++index) {
    meta::Endpoint& endpoint = config.settings.listeners[index];
    TRY(auto listener, life.shard.network().listen(endpoint.host, endpoint.port));
    // Port 0 asks for any: clients must be told the real one.
    for (meta::Endpoint& advertised : config.settings.advertised) {
      if (advertised.listener == endpoint.listener && advertised.port == 0)
        advertised.port = listener->port();
    }
    endpoint.port = listener->port();
    life.listeners.push_back(std::move(listener));
  }
  return {};
}

Result<void> open_folder(Life& life, const Config& config) {
  if (config.forget_unsynced) {
    life.forgetting = env::make_forgetting_disk(life.shard.disk());
    life.disk = life.forgetting.get();
  } else {
    life.disk = &life.shard.disk();
  }
  TRY_VOID(life.disk->make_dirs(config.data));
  auto lock = life.disk->lock(config.data + "/LOCK");
  if (!lock && lock.error().code == Code::in_use)
    return fail(Code::in_use, fmt::format("another broker is using {}", config.data));
  if (!lock) return fail(lock.error());
  life.lock = std::move(*lock);
  life.events = std::make_unique<EventLog>(life.shard, *life.disk, config.data);
  return {};
}

Task<Result<void>> open_storage(Life& life, const Config& config) {
  CO_TRY(life.metadata,
         meta::open_sqlite_store(*life.disk, life.shard, config.data + "/metadata.sqlite"));
  CO_TRY(life.objects, object::open_folder_store(*life.disk, config.data + "/objects"));
  cluster::Options join{config.settings.broker, config.settings.advertised, config.settings.rack,
                        config.cluster_id};
  CO_TRY(life.cluster, co_await cluster::Cluster::join(life.shard, *life.metadata, join));
  life.events->set_cause(life.cluster->lane().to_string());
  wal::FileWalOptions wal_options;
  wal_options.folder = config.data + "/wal";
  wal_options.cluster_id = life.cluster->cluster_id();
  life.wal = wal::make_file_wal(*life.disk, std::move(wal_options));
  stream::Options options;
  options.cluster_id = life.cluster->cluster_id();
  options.lane = life.cluster->lane();
  options.upload_bytes = config.upload_bytes;
  options.upload_age_ms = config.upload_age_ms;
  options.log_cache_bytes = config.memory_bytes / 4;
  options.block_cache_bytes = config.memory_bytes / 8;
  auto events = [log = life.events.get()](std::string_view name, std::string detail) {
    log->record(name, detail);
  };
  CO_TRY(life.storage, co_await stream::Storage::start(shards_of(life.env), *life.metadata,
                                                       *life.objects, *life.wal, options, events));
  Life* self = &life;
  life.storage->on_lost([self](Error why) {
    self->lost = std::move(why);
    self->changed.notify_all();
  });
  co_return Result<void>{};
}

net::HttpResponse text_response(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; version=0.0.4";
  response.body = std::move(body);
  return response;
}

Task<net::HttpResponse> admin_answer(Life* life, net::HttpRequest request) {
  if (request.target == "/livez" || request.target == "/startupz")
    co_return text_response(200, "ok\n");
  if (request.target == "/readyz" || request.target == "/v1/status/ready")
    co_return life->ready ? text_response(200, "ready\n")
                          : text_response(503, "not ready: recovery is running\n");
  if (request.target == "/metrics" && life->ready)
    co_return text_response(
        200, co_await metrics_text(life->broker->node(), life->shard, life->started));
  if (request.target == "/metrics")
    co_return text_response(503, "not ready: recovery is running\n");
  co_return text_response(404, "there are /metrics, /readyz, /livez and /startupz\n");
}

Result<void> start_admin(Life& life, const Config& config) {
  if (!config.admin) return {};
  Life* self = &life;
  life.admin = std::make_unique<net::HttpServer>(life.shard, [self](net::HttpRequest request) {
    return admin_answer(self, std::move(request));
  });
  return life.admin->listen(config.admin->host, config.admin->port);
}

void print_banner(const Life& life, const Config& config) {
  std::string addresses;
  for (const meta::Endpoint& endpoint : config.settings.advertised)
    addresses +=
        fmt::format("{}{}:{}", addresses.empty() ? "" : "  ", endpoint.host, endpoint.port);
  std::string text = fmt::format(
      "paceline {}   cluster {}   broker {}, data in {}\n  kafka    {}\n", kVersion,
      life.cluster->cluster_id().to_string(), config.settings.broker.value, config.data, addresses);
  if (life.admin)
    text += fmt::format("  admin    http://{}:{}   (metrics /metrics, health /readyz)\n",
                        config.admin->host, life.admin->port());
  const std::string first = fmt::format("{}:{}", config.settings.advertised.front().host,
                                        config.settings.advertised.front().port);
  text += fmt::format("Try:  kcat -b {} -L      paceline topic create orders -p 12 -b {}\n", first,
                      first);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

Task<Result<void>> start_broker(Life& life, Config& config) {
  CO_TRY_VOID(bind_ports(life, config));
  CO_TRY_VOID(start_admin(life, config));
  CO_TRY_VOID(open_folder(life, config));
  CO_TRY_VOID(co_await open_storage(life, config));
  life.broker = std::make_unique<broker::Broker>(shards_of(life.env), *life.cluster, *life.storage,
                                                 std::move(life.listeners), config.settings,
                                                 broker::TopicConfigs(config.given));
  co_await life.broker->start();
  auto materialise = [](Life* self) -> Task<void> {
    Result<void> done = co_await self->cluster->materialise(self->shard);
    if (!done)
      log_warn("the terms of partitions are not written down yet: {}", done.error().message);
  };
  life.shard.spawn(materialise(&life));
  co_return Result<void>{};
}

Task<void> stop_broker(Life& life) {
  life.ready = false;
  if (life.admin) life.admin->close();
  if (life.broker) co_await life.broker->stop();
  if (life.storage)
    co_await life.storage->stop(life.shard, life.shard.now() + std::chrono::seconds(10));
  if (life.cluster) co_await life.cluster->stop(life.shard);
}

Task<void> run(Life& life, Config config, int& exit_code) {
  life.started = life.shard.now();
  Result<void> up = co_await start_broker(life, config);
  if (!up) {
    std::fprintf(stderr, "paceline: %s\n", up.error().message.c_str());
    exit_code = 1;
  } else {
    life.ready = true;
    print_banner(life, config);
    while (!life.stop_asked && !life.lost) co_await life.changed.wait();
    if (life.lost) {
      // The lane cannot be written any more. A new life starts from what is durable.
      log_error("the broker ends, because its log is lost: {}", life.lost->message);
      exit_code = 1;
    } else {
      log_info("stopping");
      co_await stop_broker(life);
    }
  }
  life.env.stop();
}

}  // namespace

int serve(const Config& config) {
  for (const std::string& notice : config.notices) log_warn("{}", notice);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  env::RealEnv env({.shards = config.shards ? config.shards : cores});
  int exit_code = 0;
  Life life(env);
  auto stop = [&life] {
    life.stop_asked = true;
    life.changed.notify_all();
  };
  env.on_signal({SIGINT, SIGTERM}, stop);
  life.shard.spawn(run(life, config, exit_code));
  env.run();
  return exit_code;
}

}  // namespace paceline::app
