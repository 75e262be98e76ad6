#pragma once

#include <memory>
#include <vector>

#include "probe/consumer.h"
#include "probe/external.h"
#include "probe/overhead.h"
#include "probe/producer.h"
#include "probe/rights.h"
#include "probe/storm_book.h"
#include "probe/transfer.h"
#include "probe/watcher.h"

namespace paceline::probe {

// All players of a load on one stage, driven by one timer: every millisecond each of them hears
// what its library has to say, and sends what is due.
class RunningLoad final : public Load {
 public:
  RunningLoad(env::Shard& shard, Options options, Witness witness);
  ~RunningLoad() override;

  // `brokers`: their addresses, as the cluster tells them.
  Result<void> begin(const std::vector<std::string>& brokers);
  std::vector<StormBook::Player> players() const;
  // Until each player was acknowledged something, has read something or has nothing to read, or
  // the deadline.
  Task<void> all_at_work(StormBook& book, env::Instant deadline);

  const std::vector<evidence::Run::Client>& clients() const override { return stage_.roster.all(); }
  Glance glance() const override;
  Task<void> measure_overhead(env::Duration each) override;
  Task<void> storm() override;
  Task<void> finish(env::Instant deadline) override;
  Task<Result<void>> read_back(std::set<std::string> gone, env::Instant deadline) override;

 private:
  // The players, made but not started.
  void make_producers();
  void make_consumers();
  void make_transfers();
  void make_bystanders();
  Result<void> start_players();
  Result<void> start_externals();

  void arm();
  void turn();
  void each_second();
  void rest_probes();
  void probes_go_on();
  size_t unanswered() const;
  bool all_heard() const;
  void stop_players();
  Task<void> leave_groups();
  void look_who_is_back(StormBook& book) const;
  std::optional<int64_t> waits_since_ns() const;
  env::Duration staleness() const;

  Stage stage_;
  TransferBook book_;
  Overhead overhead_;
  Rights rights_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Producer>> bystanders_;
  std::unique_ptr<Transfers> transfers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;  // the reader of transfers among them
  std::vector<std::unique_ptr<External>> externals_;
  std::unique_ptr<Watcher> watcher_;
  std::optional<env::Shard::TimerId> timer_;
  int64_t next_second_ns_ = 0;
};

}  // namespace paceline::probe
