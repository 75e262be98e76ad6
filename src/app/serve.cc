#include "app/serve.h"

#include <csignal>
#include <optional>
#include <thread>

#include "app/guardian.h"
#include "base/log.h"
#include "env/forgetting_disk.h"
#include "env/real_env.h"
#include "server/server.h"

namespace paceline::app {
namespace {

constexpr std::string_view kVersion = "0.1.0";

void print_banner(server::Server& server) {
  const server::Options& options = server.options();
  const auto& advertised = options.settings.advertised;
  std::string addresses;
  for (const meta::Endpoint& endpoint : advertised)
    addresses +=
        fmt::format("{}{}:{}", addresses.empty() ? "" : "  ", endpoint.host, endpoint.port);
  std::string text =
      fmt::format("paceline {}   cluster {}   broker {}, data in {}\n  kafka    {}\n", kVersion,
                  server.node().cluster().cluster_id().to_string(), options.settings.broker.value,
                  options.data, addresses);
  if (server.admin_port() != 0)
    text += fmt::format("  admin    http://{}:{}   (metrics /metrics, health /readyz)\n",
                        options.admin->host, server.admin_port());
  if (!server.principal().empty()) text += fmt::format("  objects  {}\n", server.principal());
  const std::string first = fmt::format("{}:{}", advertised.front().host, advertised.front().port);
  text += fmt::format("Try:  kcat -b {} -L      paceline topic create orders -p 12 -b {}\n", first,
                      first);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// Why a broker that serves should end.
struct End {
  explicit End(env::Shard& shard) : changed(shard) {}
  bool started = false;
  bool asked = false;
  std::optional<Error> lost;
  env::Event changed;
};

// Keeps the guardian's word for the case of our death.
void keep_informed(server::Server& server, GuardianReport& guardian) {
  auto tell = [&guardian, gone = false](const Uuid& cluster_id, Lane self,
                                        const std::vector<peer::Address>& peers) mutable {
    const auto told = guardian.send({cluster_id, self, peers});
    if (!told && !std::exchange(gone, true))
      log_warn("{}: others will notice a death of this broker a little later",
               told.error().message);
  };
  server.on_peers(tell);
}

Task<void> run(env::RealEnv& env, server::Server& server, End& end, int& exit_code) {
  server.on_lost([&end](Error why) {
    end.lost = std::move(why);
    end.changed.notify_all();
  });
  Result<void> up = co_await server.start();
  end.started = true;
  if (!up) {
    std::fprintf(stderr, "paceline: %s\n", up.error().message.c_str());
    exit_code = 1;
  } else {
    print_banner(server);
    while (!end.asked && !end.lost) co_await end.changed.wait();
    if (end.lost) {
      // The lane cannot be written any more. A new life starts from what is durable.
      log_error("the broker ends, because its log is lost: {}", end.lost->message);
      exit_code = 1;
    } else {
      log_info("stopping");
      co_await server.stop();
    }
  }
  env.stop();
}

}  // namespace

int serve(const Config& config) {
  // Before there is any thread.
  std::unique_ptr<GuardianReport> guardian;
  if (config.server.peer) guardian = start_guardian();
  for (const std::string& notice : config.notices) log_warn("{}", notice);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  env::RealEnv env({.shards = config.shards ? config.shards : cores});
  std::vector<env::Shard*> shards;
  for (size_t index = 0; index < env.shard_count(); ++index) shards.push_back(&env.shard(index));
  env::Disk& disk = shards.front()->disk();
  std::unique_ptr<env::Disk> forgetting;
  if (config.forget_unsynced) forgetting = env::make_forgetting_disk(disk);
  server::Server server(shards, forgetting ? *forgetting : disk, config.server);
  if (guardian) keep_informed(server, *guardian);
  End end(*shards.front());
  env.on_signal({SIGINT, SIGTERM}, [&end, &env] {
    end.asked = true;
    end.changed.notify_all();
    // A start may wait for a disk or a store for ever; nothing is lost by ending it anywhere.
    if (!end.started) env.stop();
  });
  int exit_code = 0;
  shards.front()->spawn(run(env, server, end, exit_code));
  env.run();
  return exit_code;
}

}  // namespace paceline::app
