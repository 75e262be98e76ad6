#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/dev_ceph.h"
#include "app/dev_state.h"
#include "env/disk.h"

namespace paceline::app {

// A local cluster of real processes: starts them in order, tells of every end, starts anew what
// has ended, and ends them in order. Of one shard; whoever made it passes signals on.
class DevCluster {
 public:
  // `passing`: the folder is removed afterwards, by whoever made it.
  DevCluster(env::Shard& shard, DevOptions options, std::string folder, bool passing);

  void ask_to_end();  // the second time: at once
  void reap() { processes_.reap(); }
  // Returns the exit code when no process is left.
  Task<int> run();

 private:
  Task<Result<void>> start();
  Task<Result<void>> prepare_folder();
  Result<void> choose_addresses();
  std::optional<std::string> taken(const DevAddresses& addresses);
  Task<Result<void>> start_network();
  Task<Result<void>> start_etcd();
  Task<Result<void>> start_store();
  Task<Result<void>> start_brokers();
  // To their ends, where those of this role run.
  Task<Result<void>> run_tools(std::vector<Program> tools, DevRole role);
  Result<DevLife*> add(DevService service);
  Result<void> begin(DevLife& life);
  // Where it is to run.
  Program placed(Program program, DevRole role, unsigned number) const;
  Task<Result<void>> until_ready(std::vector<DevLife*> lives);
  Task<bool> answers(const DevService& service);
  Result<void> nobody_ended() const;
  void print_banner();

  Task<void> watch();
  void heard_end(DevLife& life, int status);
  Task<void> start_again(DevLife& life, env::Duration pause);

  Task<void> end_all();
  Task<void> end_those(DevRole role, int signal, env::Duration patience);
  Task<void> write_state(std::string state);
  std::vector<DevLife*> of_role(DevRole role) const;

  env::Shard& shard_;
  DevOptions options_;
  const DevPaths paths_;
  const bool passing_;
  DevAddresses addresses_;
  DevBucket bucket_;
  std::unique_ptr<env::FileLock> lock_;
  Processes processes_;
  std::vector<std::unique_ptr<DevLife>> lives_;
  std::string state_ = "starting";
  bool ending_ = false;
  bool hurry_ = false;
  std::optional<std::string> lost_;  // why the cluster cannot go on
  bool unclean_ = false;             // somebody did not end as it should
};

}  // namespace paceline::app
