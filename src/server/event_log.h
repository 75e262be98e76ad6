#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event.h"
#include "broker/metrics.h"
#include "env/disk.h"
#include "env/sync.h"

namespace paceline::server {

// What happens to this broker, in one sequence, each event with its time: as a line of
// `folder`/events.jsonl, and, unless it is routine, in a queue for the topic of events. Both are
// bounded: at 4 MiB the file becomes events.old.jsonl, and what the queue does not hold is a hole
// in the sequence. Losing the last lines in a crash is accepted, blocking for them is not.
class EventLog {
 public:
  EventLog(env::Shard& shard, env::Disk& disk, std::string folder);

  // From any shard. What is recorded before it is known who we are waits for that.
  void record(Event event);
  EventSink sink() {
    return [this](Event event) { record(std::move(event)); };
  }

  // The rest on the shard.
  void begin(Lane source);
  struct Line {
    std::string json;
    int64_t at_ms = 0;
  };
  // The oldest of the queue, so many bytes or one; they stay until they are dropped.
  std::vector<Line> oldest(size_t bytes_max) const;
  void drop_oldest(size_t count, bool written);
  bool empty() const { return waiting_.empty(); }
  Task<void> wait_for_some();
  void wake() { arrived_.notify_all(); }
  const std::string& source() const { return source_; }

  struct Figures {
    uint64_t recorded = 0;
    uint64_t written = 0;  // to the topic
    uint64_t lost = 0;     // for the topic: the queue was full, or the topic refuses them
    uint64_t waiting = 0;
  };
  Figures figures() const;
  // How long what happened took, by type of event.
  using Phases = std::map<std::string_view, broker::Histogram>;
  const Phases& phases() const { return phases_; }

 private:
  struct File;
  void keep(Event event);
  void write_some();

  env::Shard& shard_;
  std::shared_ptr<File> file_;
  std::string unwritten_;
  bool writing_ = false;
  std::string source_;  // the lane; empty: not known yet
  std::vector<Event> early_;
  uint64_t sequence_ = 0;
  uint64_t routine_sequence_ = 0;
  std::deque<Line> waiting_;
  size_t waiting_bytes_ = 0;
  env::Event arrived_;
  Figures counted_;
  Phases phases_;
};

}  // namespace paceline::server
