#include "sim/scenario.h"

#include <algorithm>

#include "base/log.h"
#include "sim/clients.h"
#include "sim/faulty_objects.h"
#include "sim/site.h"
#include "sim/trouble.h"

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto kSettleWithin = 60s;  // once faults have ended
constexpr uint32_t kGroup = 1;
constexpr uint64_t kNotTheWorlds = 0x70616365;  // what is drawn here differs from the world's own
constexpr uint64_t kOfBalance = 0x62616c61;     // and this changes nothing else

double seconds(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The lines of the run that goes on now: the log has one sink for the whole process.
struct LogTo {
  std::vector<std::string>* lines;
  env::SimWorld* world;
  const std::function<void(std::string_view)>* tell;
};
thread_local LogTo log_to{};

void keep_line(LogLevel level, std::string_view text) {
  if (!log_to.lines || level == LogLevel::debug) return;
  log_to.lines->push_back(fmt::format("{:9.4f} {}: {}",
                                      seconds(log_to.world->now().since_start) - 3600,
                                      log_to.world->acting(), text));
  if (*log_to.tell) (*log_to.tell)("log " + log_to.lines->back());
}
void drop_line(LogLevel, std::string_view) {}

class Run {
 public:
  Run(uint64_t seed, RunOptions options)
      : options_(std::move(options)),
        world_(seed),
        random_(seed ^ kNotTheWorlds),
        site_(world_, random_, objects_),
        client_host_(world_.add_host("clients")),
        clients_(*client_host_.start(1).front(), site_.broker().name(), history_, random_.next(),
                 static_cast<uint32_t>(1 + random_.below(4) + (site_.cluster() ? 2 : 0))),
        trouble_(world_, random_, site_, objects_, clients_, report_, options_.tell),
        begun_(world_.now()) {
    report_.seed = seed;
    if (site_.cluster()) {
      for (BrokerHost* host : site_.hosts()) clients_.brokers.push_back(host->name());
      clients_.life_of = [this](const std::string& host) { return site_.life_of(host); };
      clients_.before_move = [this](const std::string& target) { trouble_.hurt_move(target); };
      report_.brokers = static_cast<uint32_t>(site_.members().size());
    }
    log_to = {options_.keep_log ? &report_.log : nullptr, &world_, &options_.tell};
    set_log_sink(options_.keep_log ? keep_line : drop_line);
    configure();
  }
  ~Run() {
    set_log_sink(nullptr);
    log_to = {};
  }

  Report run() {
    trouble_.start_brokers();
    start_clients();
    trouble_.suffer();
    settle();
    judge();
    report_.trace = world_.trace_hash();
    report_.simulated = world_.now() - begun_;
    if (options_.keep_history) report_.history = std::move(history_);
    return std::move(report_);
  }

 private:
  void configure() {
    // Now and then less than the clients need at once.
    short_of_memory_ = random_.chance(0.2);
    uint64_t memory_bytes = short_of_memory_ ? 512ull << 10 : 4ull << 20;
    // A bucket is far away: a cache that holds no whole block would fetch one for each bite.
    if (site_.kept() != Site::Kept::on_disk) memory_bytes *= 8;
    const uint64_t upload_bytes = 16ull << (10 + random_.below(5));
    const auto upload_age_ms = static_cast<int64_t>(random_.between(100, 3000));
    const auto fan_in = static_cast<uint32_t>(3 + random_.below(4));
    const bool compress = random_.chance(0.3);
    const uint64_t segment_bytes = 64ull << (10 + random_.below(5));
    const int32_t rebalance_delay_ms = random_.chance(0.5) ? 0 : 500;
    // Leadership is shared out anew whenever brokers come or go, or none of it is.
    env::Random of_balance(report_.seed ^ kOfBalance);
    const bool balance = site_.cluster() && of_balance.chance(0.5);
    for (BrokerHost* host : site_.hosts()) {
      server::Options& options = host->options();
      options.memory_bytes = memory_bytes;
      options.upload_bytes = upload_bytes;
      options.upload_age_ms = upload_age_ms;
      options.compaction_fan_in = fan_in;
      options.compress_blocks = compress;
      options.wal_segment_bytes = segment_bytes;
      broker::Settings& settings = options.settings;
      settings.unuploaded_bytes_high = 3 * upload_bytes;
      settings.request_memory_bytes = short_of_memory_ ? 256ull << 10 : 1ull << 20;
      settings.request_bytes_max = settings.request_memory_bytes - 4096;
      settings.offsets_topic_partitions = 3;
      settings.retention_check_ms = 1'000;
      settings.group.initial_rebalance_delay_ms = rebalance_delay_ms;
      settings.balance = balance;
      settings.balance_interval_ms = 500;
      settings.balance_hold_ms = 2'000;
    }
    trouble_.begin();
  }

  void start_clients() {
    env::Shard& shard = clients_.shard;
    shard.spawn(create_topic(clients_));
    const uint64_t more = short_of_memory_ ? 5 : 0;
    for (uint64_t i = 1 + random_.below(3) + more; i > 0; --i)
      shard.spawn(run_idempotent_producer(clients_));
    if (random_.chance(0.5)) shard.spawn(run_plain_producer(clients_));
    for (Key key = 0; key < clients_.partition_count; ++key) shard.spawn(run_reader(clients_, key));
    shard.spawn(run_watcher(clients_));
    for (uint64_t i = random_.below(4); i > 0; --i) shard.spawn(run_member(clients_, kGroup));
    if (site_.cluster() && random_.chance(0.6)) shard.spawn(run_administrator(clients_));
  }

  // No more faults: everything pending comes to its end in time, and the end is read.
  void settle() {
    clients_.finishing = true;
    trouble_.end();
    if (!finish("producers settle", [&] { return clients_.busy == 0; })) return;
    // What several brokers have left is read by their next lives.
    if (site_.cluster() && !end_lives()) return;
    clients_.shard.spawn(run_final_polls(clients_, polled_));
    clients_.shard.spawn(read_committed_offsets(clients_, kGroup));
    // However much there is to read: each answer comes in time.
    auto polled = [&, answers = uint64_t{0}]() mutable {
      if (std::exchange(answers, clients_.final_answers) != answers) lively_at_ = world_.now();
      return polled_;
    };
    if (!finish("final polls", polled)) return;
    if (!finish("a former process hears of its end", [&] { return !site_.former(); })) return;
    if (!stop_all()) return;
    bool checked = false;
    site_.check(report_.problems, checked);
    finish("the check of what is durable", [&] { return checked; }, false);
    site_.end_check();
  }
  // All brokers end, in peace or not, and others begin.
  bool end_lives() {
    if (random_.chance(0.5)) return stop_all();
    trouble_.step_done("all brokers are killed");
    for (BrokerHost* host : site_.hosts())
      if (host->running()) host->kill();
    return true;
  }
  bool stop_all() {
    // Those that have left, too: they may still be about it.
    for (BrokerHost* host : site_.hosts()) host->begin_stop();
    auto all_down = [&] {
      return std::ranges::none_of(site_.hosts(), [](BrokerHost* host) {
        if (host->serving()) host->begin_stop();
        return host->running();
      });
    };
    if (!finish("the brokers stop", all_down, false)) return false;
    trouble_.step_done("stopped");
    return true;
  }
  bool any_down() {
    return std::ranges::any_of(site_.members(), [](BrokerHost* host) { return !host->running(); });
  }
  bool finish(const char* what, const std::function<bool()>& done, bool keep_up = true) {
    lively_at_ = world_.now();
    while (!done() && world_.now() < lively_at_ + kSettleWithin) {
      world_.run_until([&] { return done() || (keep_up && any_down()); }, 1s);
      if (done() || !keep_up || !any_down()) continue;
      world_.run_for(200ms);  // a supervisor waits a little
      trouble_.start_brokers();
    }
    if (done()) return true;
    report_.problems.push_back(fmt::format("stuck: '{}' has not come to its end within {} s", what,
                                           seconds(kSettleWithin)));
    if (!clients_.last_error.empty())
      report_.problems.push_back("the last error that a client was told: " + clients_.last_error);
    for (BrokerHost* host : site_.members())
      if (host->refused())
        report_.problems.push_back(
            fmt::format("{} refuses: {}", host->name(), host->refused()->message));
    return false;
  }

  void judge() {
    const history::Counts counts = history::count(history_);
    report_.batches_acked = counts.sends[static_cast<size_t>(Outcome::ok)];
    report_.records_acked = counts.records_acked;
    report_.records_read = counts.records_polled;
    report_.commits_acked = counts.commits_acked;
    // Without final polls everything would seem lost; then how far they came tells more.
    if (polled_) report_.anomalies = history::check(history_);
    for (const history::Anomaly& anomaly : report_.anomalies)
      report_.stories.push_back(history::story_of(anomaly, history_));
    world_.trace(fmt::format("{} {} {} {}", report_.batches_acked, report_.records_acked,
                             report_.records_read, report_.commits_acked));
  }

  const RunOptions options_;
  Report report_;
  env::SimWorld world_;
  env::Random random_;
  History history_;
  ObjectFaults objects_;
  Site site_;
  env::SimHost& client_host_;
  Clients clients_;
  Trouble trouble_;
  const env::Instant begun_;
  bool short_of_memory_ = false;
  bool polled_ = false;     // all final polls have come to their end
  env::Instant lively_at_;  // what is waited for was seen to go on
};

}  // namespace

bool has_cluster(uint64_t seed) {
  env::Random random(seed ^ kNotTheWorlds);
  return Site::draws_cluster(random);
}

Report run_seed(uint64_t seed, RunOptions options) {
  return Run(seed, std::move(options)).run();
}

}  // namespace paceline::sim
