#include "stream/sealed_log.h"

#include <algorithm>

#include "stream/retry.h"

namespace paceline::stream {
namespace {

Task<void> read_groups(env::Shard& shard, wal::Wal& wal, Lane lane, Position from,
                       std::optional<Position> end, SealedLog& log) {
  auto opening = [&] { return wal.read(shard, lane, from, end); };
  auto opened = co_await retry_transient(shard, opening);
  if (!opened) {
    log.broken = opened.error();
    co_return;
  }
  for (;;) {
    auto group = co_await (*opened)->next();
    if (!group) log.broken = group.error();
    if (!group || !*group) co_return;
    log.groups.push_back(std::move(**group));
  }
}

}  // namespace

bool SealedLog::is_whole() const {
  return end && !broken && !teller &&
         std::ranges::all_of(groups, [](const wal::Group& group) { return group.before.empty(); });
}

Task<SealedLog> look_at_log(env::Shard& shard, wal::Wal& wal, Lane lane, Position uploaded) {
  SealedLog log;
  co_await read_groups(shard, wal, lane, uploaded, std::nullopt, log);
  if (log.broken && log.broken->code == Code::not_found && log.groups.empty()) log.broken.reset();
  co_return log;
}

void SealedLogs::start(Order order) {
  shard_.spawn(run(shared_from_this(), std::move(order), running_.enter()));
}

Task<SealedLogs::Found> SealedLogs::of(Lane lane) {
  while (!logs_.contains(lane)) co_await arrived_.wait();
  co_return logs_.at(lane);
}

Task<void> SealedLogs::run(std::shared_ptr<SealedLogs> self, Order order, env::Gate::Pass) {
  Found found;
  if (order.ask) found.log = co_await order.ask(order.lane);
  found.given = found.log != nullptr;
  if (found.given) {
    order.on_sealed(*found.log);
  } else {
    found.log = std::make_shared<const SealedLog>(co_await self->read(order));
    if (order.on_log) order.on_log(found.log);
  }
  self->logs_[order.lane] = std::move(found);
  self->arrived_.notify_all();
}

// Ends the lane for good and reads all of it; failures that may pass are waited for.
Task<SealedLog> SealedLogs::read(const Order& order) {
  SealedLog log;
  const env::Instant began = shard_.now();
  auto sealing = [&] { return wal_.seal(shard_, order.lane, order.uploaded); };
  log.end = co_await retry_transient(shard_, sealing);
  log.took = shard_.now() - began;
  if (!log.end) co_return log;
  order.on_sealed(log);
  if (*log.end > order.uploaded)
    co_await read_groups(shard_, wal_, order.lane, order.uploaded, *log.end, log);
  co_return log;
}

}  // namespace paceline::stream
