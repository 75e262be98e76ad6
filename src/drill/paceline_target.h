#pragma once

#include <map>
#include <memory>
#include <string>

#include "drill/broker_events.h"
#include "drill/dev_file.h"
#include "drill/hook_target.h"
#include "drill/local_process.h"
#include "drill/network_cut.h"

namespace paceline::drill {

// A `paceline dev` of this machine: its processes are signalled, the ways of its hosts are cut, the
// way to its store is made slow, its events are read, and what has ended is started again by
// itself. Hooks, where there are any, win for the faults they declare.
class PacelineTarget final : public HookTarget {
 public:
  // `dev_state`: the path of its dev.json. not_found, corrupt: there is no such cluster, or it does
  // not run.
  static Task<Result<std::unique_ptr<PacelineTarget>>> open(env::Shard& shard,
                                                            std::string dev_state,
                                                            std::unique_ptr<Hooks> hooks);

  evidence::Run::Target identity() const override;
  bool any_broker_leads() const override { return true; }
  bool production() const override { return false; }
  Task<std::vector<std::string>> objections(std::vector<Hit> hits) override;
  Result<void> can(Fault fault) const override;
  std::string domain(Fault fault) const override;
  Task<Result<std::vector<HealAction>>> ways_to_heal(Hit hit) override;
  Task<Result<void>> inject(Hit hit) override;
  Task<Result<Effect>> effective(Hit hit) override;
  Task<Result<std::string>> heal(Hit hit) override;
  Task<Result<void>> whole(std::vector<int32_t> brokers) override;
  Task<StorageFigures> storage() override;
  Task<std::vector<ClockBound>> clocks() override;
  Task<Headroom> headroom() override;
  void follow(std::function<void(evidence::Event)> tell) override;
  Task<void> catch_up(env::Duration at_most) override;

 private:
  PacelineTarget(env::Shard& shard, std::string dev_state, DevFile dev,
                 std::unique_ptr<Hooks> hooks);
  bool ours(Fault fault) const;  // not a hook's, nor done by Kafka's protocol
  Task<Result<void>> cut(Hit hit);
  Task<Result<Effect>> cut_is_seen(Hit hit);
  Task<Result<std::string>> mend(Hit hit);
  Task<Result<std::string>> ask_store_way(std::string method, std::string body);
  Task<Result<Effect>> slow_store_is_seen(Hit hit);
  Task<Result<void>> run(Command command);
  Task<Result<void>> refresh();
  Result<LocalProcess> process_of(const DevFile::Service& service);
  Result<LocalProcess> broker_process(int32_t id);
  Result<std::vector<LocalProcess>> quorum();
  bool stopped(const LocalProcess& process);
  bool gone(const LocalProcess& process);
  std::pair<uint64_t, int64_t> look_at_brokers();
  Task<bool> ready(DevFile::Service service);
  Task<Result<std::string>> fetch(DevFile::Service service, std::string target,
                                  std::string method = "GET", std::string body = "");

  const std::string dev_state_;
  DevFile dev_;
  std::string version_;  // of its brokers' program
  // Whom an injection has found, by the step's id: a broker that comes back is another process.
  std::map<std::string, std::vector<LocalProcess>> sleeping_;
  std::map<std::string, LocalProcess> hit_;
  std::map<std::string, std::vector<CutPlace>> cuts_;
  std::map<int32_t, int64_t> clock_err_ns_;
  // Counters of brokers begin anew when they do.
  struct Counted {
    double last = 0, all = 0;
  };
  std::map<std::string, Counted> counted_;
  std::unique_ptr<BrokerEvents> events_;
};

}  // namespace paceline::drill
