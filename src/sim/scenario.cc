#include "sim/scenario.h"

#include "base/log.h"
#include "server/data_folder.h"
#include "sim/broker_host.h"
#include "sim/clients.h"
#include "sim/faulty_objects.h"
#include "stream/recovery.h"

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto kSettleWithin = 60s;  // once faults have ended
constexpr uint32_t kGroup = 1;

double seconds(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The lines of the run that goes on now: the log has one sink for the whole process.
struct LogTo {
  std::vector<std::string>* lines;
  env::SimWorld* world;
};
thread_local LogTo log_to{};

void keep_line(LogLevel level, std::string_view text) {
  if (!log_to.lines || level == LogLevel::debug) return;
  log_to.lines->push_back(
      fmt::format("{:9.4f} {}", seconds(log_to.world->now().since_start) - 3600, text));
}
void drop_line(LogLevel, std::string_view) {}

// Whether every acknowledged offset is covered once and every checksum holds, from the disk alone.
Task<void> check_disk(env::Shard& shard, std::string data, std::vector<std::string>& problems,
                      bool& done) {
  auto body = [](env::Shard& on, std::string folder) -> Task<Result<stream::CheckReport>> {
    CO_TRY(auto opened, co_await server::open_data_folder(on, std::move(folder)));
    stream::Inspected inspected{&on, opened.metadata.get(), opened.objects.get(), opened.wal.get(),
                                BrokerId(1)};
    co_return co_await stream::check(inspected);
  };
  auto report = co_await body(shard, data);
  if (!report) {
    problems.push_back("the data cannot be checked: " + report.error().message);
  } else {
    for (const std::string& problem : report->problems) problems.push_back("check: " + problem);
    for (const auto& stream : report->streams)
      for (const std::string& problem : stream.problems)
        problems.push_back(fmt::format("check of {}: {}", stream.id.to_string(), problem));
  }
  done = true;
}

class Run {
 public:
  Run(uint64_t seed, RunOptions options)
      : world_(seed),
        random_(seed ^ 0x70616365),
        broker_(world_, "broker", static_cast<unsigned>(1 + random_.below(2))),
        client_host_(world_.add_host("clients")),
        clients_(*client_host_.start(1).front(), "broker", history_, random_.next(),
                 static_cast<uint32_t>(1 + random_.below(4))),
        begun_(world_.now()) {
    report_.seed = seed;
    keep_history_ = options.keep_history;
    log_to = {options.keep_log ? &report_.log : nullptr, &world_};
    set_log_sink(options.keep_log ? keep_line : drop_line);
    configure();
  }
  ~Run() {
    set_log_sink(nullptr);
    log_to = {};
  }

  Report run() {
    start_broker();
    start_clients();
    suffer();
    settle();
    judge();
    report_.trace = world_.trace_hash();
    report_.simulated = world_.now() - begun_;
    if (keep_history_) report_.history = std::move(history_);
    return std::move(report_);
  }

 private:
  void configure() {
    server::Options& options = broker_.options();
    // Now and then less than the clients need at once.
    short_of_memory_ = random_.chance(0.2);
    options.memory_bytes = short_of_memory_ ? 512ull << 10 : 4ull << 20;
    options.upload_bytes = 16ull << (10 + random_.below(5));
    options.upload_age_ms = static_cast<int64_t>(random_.between(100, 3000));
    options.wal_segment_bytes = 64ull << (10 + random_.below(5));
    broker::Settings& settings = options.settings;
    settings.unuploaded_bytes_high = 3 * options.upload_bytes;
    settings.request_memory_bytes = short_of_memory_ ? 256ull << 10 : 1ull << 20;
    settings.request_bytes_max = settings.request_memory_bytes - 4096;
    settings.offsets_topic_partitions = 3;
    settings.retention_check_ms = 1'000;
    settings.group.initial_rebalance_delay_ms = random_.chance(0.5) ? 0 : 500;
    env::SimNetworkFaults& network = world_.network_faults();
    network.reset = random_.chance(0.5) ? 0.0005 : 0;
    network.slow = 0.002;
    env::SimDisk::Faults& disk = broker_.disk().faults();
    disk.slow_sync = random_.chance(0.3) ? 0.01 : 0;
    disk.slow_sync_max = random_.chance(0.2) ? 5s : 500ms;
    disk.sync_error = random_.chance(0.2) ? 0.002 : 0;
    disk.write_error = random_.chance(0.1) ? 0.001 : 0;
    disk.read_error = random_.chance(0.1) ? 0.0005 : 0;
    if (random_.chance(0.3)) {
      objects_.refuse = 0.05;
      objects_.lose_answer = 0.05;
      objects_.conflict = 0.05;
      objects_.cut = 0.02;
      objects_.flip = 0.02;
      objects_.slow = 0.05;
      objects_.forget_listed = 0.2;
    }
    options.wrap_objects = [this](std::unique_ptr<object::Store> real) {
      return make_faulty_objects(std::move(real), objects_, world_.random().next());
    };
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
  }

  void step_done(std::string what) {
    report_.steps.push_back(fmt::format("{:9.4f} {}", seconds(world_.now() - begun_), what));
    world_.trace(what);
  }
  void start_broker() {
    broker_.start();
    step_done("start");
  }

  // Faults at random moments, for 10 to 30 s. A broker that is down is started again.
  void suffer() {
    const env::Instant end = world_.now() + between(10s, 30s);
    env::Instant fault_at = world_.now() + between(0s, 4s);
    std::optional<env::Instant> start_at;
    while (world_.now() < end) {
      world_.run_until(
          [&] {
            return !broker_.running() || broker_.disk().powered_off() ||
                   world_.now() >= std::min(fault_at, end);
          },
          1s);
      if (broker_.disk().powered_off()) crash();
      if (!broker_.running()) {
        if (!start_at) start_at = world_.now() + between(10ms, 2s);
        if (world_.now() < *start_at) world_.run_for(*start_at - world_.now());
        start_at.reset();
        start_broker();
      } else if (world_.now() >= fault_at) {
        hurt();
        fault_at = world_.now() + between(50ms, 6s);
      }
    }
    broker_.disk().power_off_after(UINT64_MAX);
  }
  env::Duration between(env::Duration low, env::Duration high) {
    return low + env::Duration(static_cast<int64_t>(random_.between(0, (high - low).count())));
  }
  void hurt() {
    switch (random_.below(16)) {
      case 0:
      case 1:
        crash();
        break;
      case 2:
      case 3: {
        const uint64_t changes = random_.below(200);
        step_done(fmt::format("the power will go in {} changes of the disk", changes));
        broker_.disk().power_off_after(changes);
        break;
      }
      case 4:
      case 5:
        kill();
        break;
      case 6:
        ++report_.stops;
        step_done("stop");
        broker_.begin_stop();
        break;
      case 7: {
        const env::Duration outage = between(100ms, 5s);
        step_done(fmt::format("the object store is gone for {:.3f} s", seconds(outage)));
        objects_.gone = true;
        world_.after(outage, [this] { objects_.gone = false; });
        break;
      }
      case 8: {
        const env::Duration cut = between(10ms, 5s);
        step_done(fmt::format("no network for {:.3f} s", seconds(cut)));
        world_.cut("clients", "broker");
        world_.after(cut, [this] { world_.heal_all(); });
        break;
      }
      case 9: {
        const env::Duration full = between(100ms, 3s);
        const uint64_t room = random_.below(256u << 10);
        step_done(fmt::format("{} bytes of disk are left, for {:.3f} s", room, seconds(full)));
        broker_.disk().fill_up(room);
        world_.after(full, [this] { broker_.disk().fill_up(std::nullopt); });
        break;
      }
      case 11: {
        const uint64_t events = random_.below(3000);
        const bool power = random_.chance(0.5);
        step_done(fmt::format("after {} events the broker is gone", events));
        for (uint64_t i = 0; i < events && broker_.running(); ++i) world_.step();
        if (!broker_.running() || power) {
          crash();
        } else {
          kill();
        }
        break;
      }
      case 12:
        step_done("the next sync fails");
        broker_.disk().faults().failing_syncs = 1;
        break;
      case 13:
        step_done("the next write fails");
        broker_.disk().faults().failing_writes = 1;
        break;
      case 14:
        store_trouble();
        break;
      case 10: {
        const env::Duration skew = between(-3000s, 3000s);
        step_done(fmt::format("the wall clock is off by {:.0f} s", seconds(skew)));
        broker_.host().set_wall_skew(skew);
        break;
      }
      default: {
        const env::Duration pause = between(10ms, 3s);
        step_done(fmt::format("a pause of {:.3f} s", seconds(pause)));
        broker_.host().pause(pause);
      }
    }
  }
  void store_trouble() {
    const env::Duration trouble = between(100ms, 5s);
    step_done(fmt::format("the object store is in trouble for {:.3f} s", seconds(trouble)));
    objects_.troubled = true;
    world_.after(trouble, [this] { objects_.troubled = false; });
  }
  void kill() {
    ++report_.kills;
    step_done("kill -9");
    broker_.kill();
  }
  void crash() {
    ++report_.crashes;
    step_done("power loss");
    broker_.crash();
  }

  // No more faults: everything pending comes to its end in time, and the end is read.
  void settle() {
    world_.network_faults().reset = 0;
    world_.network_faults().slow = 0;
    broker_.disk().faults() = {};
    objects_ = {};
    world_.heal_all();
    clients_.finishing = true;
    step_done("no more faults");
    if (!finish("producers settle", [&] { return clients_.busy == 0; })) return;
    clients_.shard.spawn(run_final_polls(clients_, polled_));
    clients_.shard.spawn(read_committed_offsets(clients_, kGroup));
    if (!finish("final polls", [&] { return polled_; })) return;
    if (broker_.running()) broker_.begin_stop();
    if (!finish("the broker stops", [&] { return !broker_.running(); }, false)) return;
    step_done("stopped");
    bool checked = false;
    env::Shard& shard = *broker_.host().start(1).front();
    shard.spawn(check_disk(shard, broker_.options().data, report_.problems, checked));
    finish("the check of the disk", [&] { return checked; }, false);
    broker_.host().stop();
  }
  bool finish(const char* what, const std::function<bool()>& done, bool keep_up = true) {
    const env::Instant limit = world_.now() + kSettleWithin;
    while (!done() && world_.now() < limit) {
      world_.run_until([&] { return done() || (keep_up && !broker_.running()); }, 1s);
      if (!keep_up || broker_.running()) continue;
      world_.run_for(200ms);  // a supervisor waits a little
      start_broker();
    }
    if (done()) return true;
    report_.problems.push_back(fmt::format("stuck: '{}' has not come to its end within {} s", what,
                                           seconds(kSettleWithin)));
    if (!clients_.last_error.empty())
      report_.problems.push_back("the last error that a client was told: " + clients_.last_error);
    if (broker_.refused())
      report_.problems.push_back("the broker refuses: " + broker_.refused()->message);
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

  Report report_;
  env::SimWorld world_;
  env::Random random_;
  History history_;
  ObjectFaults objects_;
  BrokerHost broker_;
  env::SimHost& client_host_;
  Clients clients_;
  const env::Instant begun_;
  bool keep_history_ = false;
  bool short_of_memory_ = false;
  bool polled_ = false;  // all final polls have come to their end
};

}  // namespace

Report run_seed(uint64_t seed, RunOptions options) {
  return Run(seed, options).run();
}

}  // namespace paceline::sim
