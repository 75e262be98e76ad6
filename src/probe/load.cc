#include "probe/load.h"

#include <fmt/format.h>

#include <algorithm>

#include "probe/admin.h"
#include "probe/read_back.h"

namespace paceline::probe {
namespace {

constexpr env::Duration kTurn = std::chrono::milliseconds(1);
constexpr env::Duration kStartMax = std::chrono::seconds(10);
constexpr int64_t kSecondNs = 1'000'000'000;

// 2.0.2, Debian 12's: the oldest one that all of it is tested with. LD_LIBRARY_PATH may bring
// another one than we were built with, so it is looked at twice.
constexpr int kLibrdkafkaMin = 0x020002ff;
static_assert(RD_KAFKA_VERSION >= kLibrdkafkaMin, "librdkafka before 2.0.2");

}  // namespace

std::string librdkafka_version() {
  return rd_kafka_version_str();
}

Result<void> check_librdkafka(int number) {
  if (number >= kLibrdkafkaMin) return {};
  return fail(
      Code::unsupported,
      fmt::format("librdkafka {}.{}.{} is too old for the load of a drill: it takes {}.{}.{}",
                  number >> 24 & 0xff, number >> 16 & 0xff, number >> 8 & 0xff,
                  kLibrdkafkaMin >> 24 & 0xff, kLibrdkafkaMin >> 16 & 0xff,
                  kLibrdkafkaMin >> 8 & 0xff));
}

Result<void> check_librdkafka() {
  return check_librdkafka(rd_kafka_version());
}

Task<Result<std::unique_ptr<Load>>> Load::start(env::Shard& shard, Options options,
                                                Witness witness) {
  if (options.topics.empty()) co_return fail(Code::invalid_argument, "a load without topics");
  if (options.interval <= env::Duration{})
    co_return fail(Code::invalid_argument, "a load without an interval");
  std::vector<std::string> brokers;
  {
    CO_TRY(auto admin, Admin::make(shard, options.bootstrap, options.settings));
    CO_TRY(const auto cluster, co_await admin->look(shard.now() + kStartMax));
    for (const auto& broker : cluster.brokers)
      brokers.push_back(fmt::format("{}:{}", broker.host, broker.port));
  }
  auto load = std::make_unique<RunningLoad>(shard, std::move(options), std::move(witness));
  CO_TRY_VOID(load->begin(brokers));
  // The first answers take the libraries a second, a group's first members even more: not what is
  // measured.
  StormBook book(shard.now().since_start.count(), load->players());
  co_await load->all_at_work(book, shard.now() + kStartMax);
  co_return std::unique_ptr<Load>(std::move(load));
}

RunningLoad::RunningLoad(env::Shard& shard, Options options, Witness witness)
    : stage_(shard, std::move(options), std::move(witness)), rights_(stage_) {
  make_consumers();
  make_producers();
  make_transfers();
  make_bystanders();
}

RunningLoad::~RunningLoad() {
  if (timer_) stage_.shard.cancel_timer(*timer_);
  stop_players();
  stage_.teller.be_silent();
}

Result<void> RunningLoad::begin(const std::vector<std::string>& brokers) {
  TRY_VOID(start_players());
  TRY_VOID(start_externals());
  TRY_VOID(rights_.start());
  TRY(auto security, client::read_security(stage_.shard.disk(), stage_.options.settings));
  watcher_ = std::make_unique<Watcher>(stage_, brokers, std::move(security));
  next_second_ns_ = stage_.teller.now_ns() + kSecondNs;
  arm();
  return {};
}

Result<void> RunningLoad::start_players() {
  for (auto& consumer : consumers_) TRY_VOID(consumer->start());
  for (auto& producer : producers_) TRY_VOID(producer->sender().start());
  if (transfers_) TRY_VOID(transfers_->start());
  for (auto& bystander : bystanders_) TRY_VOID(bystander->sender().start());
  return {};
}

Result<void> RunningLoad::start_externals() {
  std::vector<uint16_t> topics;
  for (const Part& part : parts_of(stage_.options, "probe"))
    if (topics.empty() || topics.back() != part.first) topics.push_back(part.first);
  const auto& all = stage_.options.external;
  if (!all.empty() && topics.empty())
    return fail(Code::invalid_argument, "clients outside need a topic of the role probe");
  for (size_t i = 0; i < all.size(); ++i) {
    TRY(auto external, External::start(stage_, fmt::format("external-{}", i + 1), all[i],
                                       topics[i % topics.size()]));
    externals_.push_back(std::move(external));
  }
  return {};
}

void RunningLoad::arm() {
  timer_ = stage_.shard.run_at(stage_.shard.now() + kTurn, [this] {
    turn();
    arm();
  });
}

void RunningLoad::turn() {
  for (auto& consumer : consumers_) consumer->poll();
  for (auto& producer : producers_) producer->turn();
  if (transfers_) transfers_->turn();
  for (auto& bystander : bystanders_) bystander->turn();
  for (auto& external : externals_) external->turn();
  rights_.turn();
  const int64_t now_ns = stage_.teller.now_ns();
  if (now_ns < next_second_ns_) return;
  next_second_ns_ = std::max(next_second_ns_ + kSecondNs, now_ns);
  each_second();
}

void RunningLoad::each_second() {
  const std::string group = group_name(stage_.options);
  for (const auto& [reader, positions] : stage_.lag.positions()) {
    auto event = stage_.teller.now("probe", "data", "consumer.lag");
    const int64_t lag = stage_.lag.lag(reader);
    event.value = static_cast<double>(lag);
    event.unit = "records";
    event.figures = {{"consumer", reader == group ? "" : reader},
                     {"group", reader == group ? group : ""},
                     {"lag", lag}};
    stage_.teller.event(std::move(event));
  }
  rights_.each_second();
  if (!transfers_) return;
  auto event = stage_.teller.now("probe", "business", "business.stale");
  event.value = std::chrono::duration<double, std::milli>(staleness()).count();
  event.unit = "ms";
  event.figures = {{"sum", book_.sum()},
                   {"expected", book_.expected()},
                   {"behind", static_cast<int64_t>(book_.behind())}};
  stage_.teller.event(std::move(event));
}

env::Duration RunningLoad::staleness() const {
  if (!transfers_) return {};
  const int64_t now_ns = stage_.teller.now_ns();
  int64_t oldest = now_ns;
  if (const auto leg = book_.oldest_ns()) oldest = std::min(oldest, *leg);
  if (const auto due = transfers_->waits_since_ns()) oldest = std::min(oldest, *due);
  return env::Duration(now_ns - oldest);
}

size_t RunningLoad::unanswered() const {
  size_t all = transfers_ ? transfers_->sender().unanswered() : 0;
  for (const auto& producer : producers_) all += producer->sender().unanswered();
  for (const auto& bystander : bystanders_) all += bystander->sender().unanswered();
  for (const auto& external : externals_) all += external->talk().unanswered();
  return all;
}

std::optional<int64_t> RunningLoad::waits_since_ns() const {
  std::optional<int64_t> oldest;
  const auto older = [&oldest](std::optional<int64_t> one) {
    if (one) oldest = std::min(oldest.value_or(*one), *one);
  };
  for (const auto& producer : producers_) older(producer->waits_since_ns());
  for (const auto& bystander : bystanders_) older(bystander->waits_since_ns());
  for (const auto& external : externals_) older(external->talk().oldest_ns());
  if (transfers_) older(transfers_->waits_since_ns());
  return oldest;
}

Glance RunningLoad::glance() const {
  const int64_t now_ns = stage_.teller.now_ns();
  return {.sent = stage_.tally.sent(),
          .acked = stage_.tally.acked(),
          .failed = stage_.tally.failed(),
          .unanswered = unanswered(),
          .errors_share_10s = stage_.tally.errors_share(now_ns),
          .longest_wait = env::Duration(now_ns - waits_since_ns().value_or(now_ns)),
          .lag = stage_.lag.lag(group_name(stage_.options)),
          .staleness = staleness()};
}

void RunningLoad::stop_players() {
  if (watcher_) watcher_->stop();
  rights_.stop();
  for (auto& external : externals_) external->stop();
  for (auto& consumer : consumers_) consumer->stop();
  for (auto& producer : producers_) producer->sender().stop();
  if (transfers_) transfers_->stop();
  for (auto& bystander : bystanders_) bystander->sender().stop();
}

bool RunningLoad::all_heard() const {
  const bool externals_over =
      std::ranges::all_of(externals_, [](const auto& one) { return one->over(); });
  return externals_over && unanswered() == 0 && stage_.lag.lag() == 0 &&
         (!transfers_ || !transfers_->half_sent());
}

Task<void> RunningLoad::finish(env::Instant deadline) {
  rest_probes();
  for (auto& bystander : bystanders_) bystander->rest();
  for (auto& external : externals_) external->say_stop();
  while (!all_heard() && stage_.shard.now() < deadline)
    co_await env::sleep_for(stage_.shard, std::chrono::milliseconds(10));
  if (transfers_) each_second();  // the last word on the sum
  co_await leave_groups();
  stop_players();
  if (timer_) stage_.shard.cancel_timer(*timer_);
  timer_.reset();
}

Task<Result<void>> RunningLoad::read_back(std::set<std::string> gone, env::Instant deadline) {
  co_return co_await read_all_back(stage_, std::move(gone), deadline);
}

}  // namespace paceline::probe
