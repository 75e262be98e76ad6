#include "server/event_log.h"

#include "base/log.h"
#include "server/event_json.h"

namespace paceline::server {
namespace {

constexpr uint64_t kFileBytesMax = 4u << 20;
// Of a cluster without a leader for the topic: a failover is a dozen events a broker.
constexpr size_t kWaitingMax = 4096;
constexpr size_t kWaitingBytesMax = 4u << 20;
// The blocking lane of this file alone, so that lines keep their order.
constexpr uint64_t kLane = 0x6576656e74;

}  // namespace

struct EventLog::File {
  env::Disk& disk;
  std::string path;
  std::string old_path;
  std::unique_ptr<env::File> file;
  uint64_t size = 0;

  void write(std::string_view lines) {
    if (!file) {
      auto opened =
          disk.open(path, {.create = env::OpenMode::Create::if_missing, .writable = true});
      if (!opened) return;  // events are a courtesy: the broker goes on without them
      file = std::move(*opened);
      size = file->size().value_or(0);
    }
    if (!file->write_at(size, as_bytes(lines))) return;
    size += lines.size();
    if (size < kFileBytesMax) return;
    file.reset();
    (void)disk.rename(path, old_path);
  }
};

EventLog::EventLog(env::Shard& shard, env::Disk& disk, std::string folder)
    : shard_(shard),
      file_(std::make_shared<File>(disk, folder + "/events.jsonl", folder + "/events.old.jsonl")),
      arrived_(shard) {}

void EventLog::record(Event event) {
  shard_.post([this, moved = std::move(event)]() mutable {
    if (!source_.empty()) {
      keep(std::move(moved));
    } else {
      early_.push_back(std::move(moved));
    }
  });
}

void EventLog::begin(Lane source) {
  source_ = source.to_string();
  for (Event& event : std::exchange(early_, {})) keep(std::move(event));
}

void EventLog::keep(Event event) {
  if (log_enabled(LogLevel::debug))
    log_debug("event of {}: {}", event.cause.empty() ? "this life" : event.cause, to_text(event));
  const int64_t now_ns = shard_.now().since_start.count();
  // What others read has no holes but those of lost evidence.
  EventStamp stamp{event.routine ? source_ + "/routine" : source_,
                   ++(event.routine ? routine_sequence_ : sequence_), event.at_ns.value_or(now_ns),
                   shard_.wall_ms()};
  stamp.wall_ms -= (now_ns - stamp.mono_ns) / 1'000'000;
  if (event.took_ns)
    phases_[event.type].add(static_cast<uint64_t>(std::max<int64_t>(0, *event.took_ns / 1000)));
  counted_.recorded += 1;
  std::string json = to_json(event, stamp);
  unwritten_ += json;
  unwritten_ += '\n';
  write_some();
  if (event.routine) return;
  if (waiting_.size() >= kWaitingMax || waiting_bytes_ + json.size() > kWaitingBytesMax) {
    counted_.lost += 1;
    return;
  }
  waiting_bytes_ += json.size();
  waiting_.push_back({std::move(json), stamp.wall_ms});
  arrived_.notify_all();
}

// What comes while a write is on its way goes with the next.
void EventLog::write_some() {
  if (writing_ || unwritten_.empty()) return;
  writing_ = true;
  auto write = [file = file_, lines = std::exchange(unwritten_, {})] { file->write(lines); };
  shard_.offload(kLane, std::move(write), [this] {
    writing_ = false;
    write_some();
  });
}

std::vector<EventLog::Line> EventLog::oldest(size_t bytes_max) const {
  std::vector<Line> some;
  size_t bytes = 0;
  for (const Line& line : waiting_) {
    bytes += line.json.size();
    if (!some.empty() && bytes > bytes_max) break;
    some.push_back(line);
  }
  return some;
}

void EventLog::drop_oldest(size_t count, bool written) {
  for (size_t i = 0; i < count && !waiting_.empty(); ++i) {
    waiting_bytes_ -= waiting_.front().json.size();
    waiting_.pop_front();
  }
  (written ? counted_.written : counted_.lost) += count;
}

Task<void> EventLog::wait_for_some() {
  co_await arrived_.wait();
}

EventLog::Figures EventLog::figures() const {
  Figures now = counted_;
  now.waiting = waiting_.size();
  return now;
}

}  // namespace paceline::server
