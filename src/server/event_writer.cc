#include "server/event_writer.h"

#include <chrono>

#include "base/log.h"
#include "env/backoff.h"

namespace paceline::server {
namespace {

// Several events of a failover come together; a reader hardly notices.
constexpr env::Duration kGather = std::chrono::milliseconds(100);
constexpr env::Duration kLastWithin = std::chrono::seconds(1);
constexpr size_t kBytesMax = 256u << 10;

}  // namespace

EventWriter::EventWriter(env::Shard& shard, EventLog& log, broker::Node& node)
    : shard_(shard), log_(log), node_(node), bytes_max_(kBytesMax), stop_(shard) {}

void EventWriter::start() {
  running_ = true;
  shard_.spawn(run());
}

Task<void> EventWriter::run() {
  env::Backoff backoff;
  while (!stopping_ || (!log_.empty() && shard_.now() < until_)) {
    if (log_.empty()) {
      co_await log_.wait_for_some();
      continue;
    }
    if (!stopping_) co_await stop_.wait_until(shard_.now() + kGather);
    const size_t done = co_await write_some();
    if (done > 0) {
      backoff = env::Backoff();
      continue;
    }
    // Perhaps between two leaders.
    const env::Instant again = shard_.now() + backoff.next(shard_.random());
    if (stopping_) {
      co_await env::sleep_until(shard_, std::min(again, until_));
    } else {
      co_await stop_.wait_until(again);
    }
  }
  running_ = false;
  stop_.notify_all();
}

Task<size_t> EventWriter::write_some() {
  const std::vector<EventLog::Line> lines = log_.oldest(bytes_max_);
  std::vector<broker::EventRecord> records;
  records.reserve(lines.size());
  for (const EventLog::Line& line : lines)
    records.push_back({log_.source(), line.json, line.at_ms});
  const env::Instant deadline = std::min(until_, shard_.now() + std::chrono::seconds(5));
  auto written = co_await broker::append_events(node_, shard_, std::move(records), deadline);
  if (written) {
    bytes_max_ = kBytesMax;
    log_.drop_oldest(lines.size(), true);
    co_return lines.size();
  }
  log_debug("{} events wait: {}", lines.size(), written.error().message);
  if (written.error().code != Code::too_large) co_return 0;
  if (lines.size() > 1) {
    bytes_max_ /= 2;
    co_return 0;
  }
  log_.drop_oldest(1, false);
  co_return 1;
}

Task<void> EventWriter::stop() {
  stopping_ = true;
  until_ = shard_.now() + kLastWithin;
  stop_.notify_all();
  log_.wake();
  // An append whose end nobody knows is left alone: its partition closes soon.
  const env::Instant patience = until_ + kLastWithin;
  while (running_ && shard_.now() < patience) co_await stop_.wait_until(patience);
}

}  // namespace paceline::server
