#include "app/dev_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "app/commands.h"
#include "app/dev_cluster.h"
#include "app/dev_network.h"
#include "env/real_env.h"

namespace paceline::app {
namespace {

Task<void> run(env::RealEnv& env, DevCluster& cluster, int& exit_code) {
  exit_code = co_await cluster.run();
  env.stop();
}

int dev_in(const DevOptions& options, const std::string& folder, bool passing) {
  env::RealEnv env({.shards = 1});
  DevCluster cluster(env.shard(0), options, folder, passing);
  std::vector<int> ends{SIGINT, SIGTERM};
  struct sigaction hangup{};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ends.push_back(SIGHUP);  // else it is to outlive its terminal
  env.on_signal(std::move(ends), [&cluster] { cluster.ask_to_end(); });
  env.on_signal({SIGCHLD}, [&cluster] { cluster.reap(); });
  int exit_code = kFailed;
  env.shard(0).spawn(run(env, cluster, exit_code));
  env.run();
  return exit_code;
}

}  // namespace

int dev(DevOptions options) {
  if (auto possible = check_options(options); !possible)
    return complain(kUsage, possible.error().message);
  std::vector<std::string> programs{"etcd"};
  if (options.s3()) std::ranges::copy(Ceph::programs(), std::back_inserter(programs));
  if (options.hosts) {
    if (::geteuid() != 0)
      return complain(kFailed, "--hosts makes network namespaces: it takes root");
    std::ranges::copy(DevNetwork::programs(), std::back_inserter(programs));
  }
  if (const std::string missing = missing_packages(programs); !missing.empty())
    return complain(kFailed, missing);
  ::umask(077);  // keys of the store are in the folder
  // Whoever reads what we print may leave; the cluster does not end with it.
  std::signal(SIGPIPE, SIG_IGN);
  if (!options.folder.empty()) {
    std::error_code ignored;
    const auto folder = std::filesystem::absolute(options.folder, ignored).lexically_normal();
    return dev_in(options, folder.string(), false);
  }
  const auto folder = PassingFolder::make();
  if (!folder) return complain(kFailed, folder.error().message);
  return dev_in(options, folder->path(), true);
}

}  // namespace paceline::app
