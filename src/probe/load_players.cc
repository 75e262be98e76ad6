#include <fmt/format.h>

#include "env/random.h"
#include "probe/load.h"

// Who plays in a load, and what all of them do together: rest, storm.

namespace paceline::probe {
namespace {

// Two of them tell 400 times in the 4 s of each half of the overhead's measurement.
constexpr env::Duration kBystanderInterval = std::chrono::milliseconds(20);
constexpr env::Duration kSettle = std::chrono::seconds(1);
constexpr env::Duration kLeaveMax = std::chrono::seconds(5);
constexpr env::Duration kStormMax = std::chrono::seconds(60);
constexpr env::Duration kTurn = std::chrono::milliseconds(1);

// Players do not all send in the same millisecond.
int64_t first_ns(const Stage& stage, uint64_t player, int64_t interval_ns) {
  env::Random random(stage.options.seed + player);
  return stage.teller.now_ns() +
         static_cast<int64_t>(random.below(static_cast<uint64_t>(interval_ns)));
}

}  // namespace

void RunningLoad::make_producers() {
  const Options& options = stage_.options;
  for (unsigned i = 0; i < options.producers; ++i) {
    auto parts = share_of(parts_of(options, "probe"), options.seed, i, options.producers);
    if (parts.empty()) return;  // more producers than partitions
    const std::string name = fmt::format("producer-{}", i + 1);
    const int64_t interval_ns = options.interval.count();
    producers_.push_back(
        std::make_unique<Producer>(stage_,
                                   Sender::Role{.name = name,
                                                .kind = "producer",
                                                .topic = "",
                                                .settings = producer_settings(options, name)},
                                   std::move(parts), first_ns(stage_, i, interval_ns), interval_ns,
                                   [](const evidence::LedgerRow&) {}));
  }
}

void RunningLoad::make_consumers() {
  const Options& options = stage_.options;
  const auto add = [this](const std::string& name, const std::string& group,
                          std::vector<Part> parts) {
    Consumer::Role role{.name = name,
                        .kind = "consumer",
                        .group = group,
                        .parts = std::move(parts),
                        .settings = consumer_settings(stage_.options, name, group)};
    stage_.lag.expect(role.reader(), role.parts);
    consumers_.push_back(
        std::make_unique<Consumer>(stage_, std::move(role), [](const evidence::LedgerRow&) {}));
  };
  const auto all = parts_of(options, "probe");
  if (all.empty()) return;
  for (unsigned i = 0; i < options.group_members; ++i)
    add(fmt::format("consumer-{}", i + 1), group_name(options), all);
  for (unsigned i = 0; i < options.group_members; ++i)
    if (auto parts = share_of(all, options.seed, i, options.group_members); !parts.empty())
      add(fmt::format("reader-{}", i + 1), "", std::move(parts));
}

void RunningLoad::make_transfers() {
  const Options& options = stage_.options;
  const auto parts = parts_of(options, "transfer");
  if (parts.empty()) return;
  const std::string name = "transfers", reader = "transfer-reader";
  const int64_t interval_ns = options.interval.count();
  transfers_ = std::make_unique<Transfers>(
      stage_, parts,
      Sender::Role{.name = name,
                   .kind = "transfer",
                   .topic = options.topics[parts.front().first].name,
                   .settings = options.transactions ? transaction_settings(options, name)
                                                    : producer_settings(options, name),
                   .transactional = options.transactions},
      book_, first_ns(stage_, options.producers, interval_ns), interval_ns);
  stage_.lag.expect(reader, parts);
  consumers_.push_back(
      std::make_unique<Consumer>(stage_,
                                 Consumer::Role{.name = reader,
                                                .kind = "transfer",
                                                .group = "",
                                                .parts = parts,
                                                .settings = consumer_settings(options, reader, "")},
                                 [this](const evidence::LedgerRow& row) { book_.read(row); }));
}

void RunningLoad::make_bystanders() {
  const Options& options = stage_.options;
  const auto parts = parts_of(options, "bystander");
  const int64_t interval_ns = std::max(options.interval, kBystanderInterval).count();
  for (unsigned i = 0; i < options.bystanders; ++i) {
    auto share = share_of(parts, options.seed, i, options.bystanders);
    if (share.empty()) return;
    const std::string name = fmt::format("bystander-{}", i + 1);
    bystanders_.push_back(std::make_unique<Producer>(
        stage_,
        Sender::Role{.name = name,
                     .kind = "bystander",
                     .topic = options.topics[share.front().first].name,
                     .settings = producer_settings(options, name)},
        std::move(share), first_ns(stage_, options.producers + 1 + i, interval_ns), interval_ns,
        [this](const evidence::LedgerRow& row) {
          if (row.kind == evidence::LedgerRow::Kind::acked)
            overhead_.took(row.at_ns - row.intended_ns);
        }));
  }
}

void RunningLoad::rest_probes() {
  for (auto& producer : producers_) producer->rest();
  if (transfers_) transfers_->rest();
}

void RunningLoad::probes_go_on() {
  for (auto& producer : producers_) producer->go_on();
  if (transfers_) transfers_->go_on();
}

Task<void> RunningLoad::measure_overhead(env::Duration each) {
  rest_probes();
  if (watcher_) watcher_->rest(true);
  co_await env::sleep_for(stage_.shard, kSettle);
  overhead_.begin(Overhead::Beside::nobody);
  co_await env::sleep_for(stage_.shard, each);
  overhead_.end();
  probes_go_on();
  if (watcher_) watcher_->rest(false);
  co_await env::sleep_for(stage_.shard, kSettle);
  overhead_.begin(Overhead::Beside::probes);
  co_await env::sleep_for(stage_.shard, each);
  overhead_.end();
  auto event = stage_.teller.now("probe", "data", "overhead.measured");
  overhead_.tell(event);
  stage_.teller.event(std::move(event));
}

// All members commit and go; one that cannot is ended.
Task<void> RunningLoad::leave_groups() {
  for (auto& consumer : consumers_) consumer->leave();
  const env::Instant deadline = stage_.shard.now() + kLeaveMax;
  const auto anybody = [this] {
    return std::ranges::any_of(consumers_, [](const auto& one) { return one->alive(); });
  };
  while (anybody() && stage_.shard.now() < deadline) co_await env::sleep_for(stage_.shard, kTurn);
  for (auto& consumer : consumers_) consumer->stop();
}

Task<void> RunningLoad::storm() {
  const int64_t errors_before = stage_.errors;
  for (auto& producer : producers_) producer->sender().stop();
  if (transfers_) transfers_->stop();
  for (auto& bystander : bystanders_) bystander->sender().stop();
  co_await leave_groups();
  StormBook book(stage_.teller.now_ns(), players());
  const env::Instant deadline = stage_.shard.now() + kStormMax;
  if (const auto started = start_players(); !started)
    stage_.complain("probe", "storm", std::string(code_name(started.error().code)),
                    started.error().message, false);
  co_await all_at_work(book, deadline);
  auto event = stage_.teller.now("probe", "client", "refresh.done");
  book.tell(event, stage_.errors - errors_before, stage_.teller.now_ns());
  stage_.teller.event(std::move(event));
}

Task<void> RunningLoad::all_at_work(StormBook& book, env::Instant deadline) {
  while (!book.all_back() && stage_.shard.now() < deadline) {
    co_await env::sleep_for(stage_.shard, kTurn);
    look_who_is_back(book);
  }
}

std::vector<StormBook::Player> RunningLoad::players() const {
  std::vector<StormBook::Player> all;
  for (const auto& consumer : consumers_)
    all.push_back({consumer->role().name, !consumer->role().group.empty()});
  for (const auto& producer : producers_) all.push_back({producer->sender().name()});
  if (transfers_) all.push_back({transfers_->sender().name()});
  for (const auto& bystander : bystanders_) all.push_back({bystander->sender().name()});
  return all;
}

void RunningLoad::look_who_is_back(StormBook& book) const {
  const int64_t now_ns = stage_.teller.now_ns();
  const auto look = [&](const Sender& sender) {
    if (sender.was_acknowledged()) book.back(sender.name(), now_ns);
  };
  for (const auto& consumer : consumers_)
    if (consumer->is_at_work()) book.back(consumer->role().name, now_ns);
  for (const auto& producer : producers_) look(producer->sender());
  if (transfers_) look(transfers_->sender());
  for (const auto& bystander : bystanders_) look(bystander->sender());
}

}  // namespace paceline::probe
