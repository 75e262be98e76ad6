#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "env/disk.h"
#include "env/shard.h"

namespace paceline::server {

// What happened inside, one JSON object a line, in `folder`/events.jsonl: steps of recovery,
// uploads, moves. Each line names the cause that it belongs to (the life of this broker, or that of
// another one which has ended), so that a later question can be answered from the file. Bounded: at
// 4 MiB the file becomes events.old.jsonl. Any shard may record; losing the last lines in a crash
// is accepted, blocking for them is not.
class EventLog {
 public:
  EventLog(env::Shard& shard, env::Disk& disk, std::string folder);
  // All later events that name no other belong to this cause, e.g. "1.7" (the lane).
  void set_cause(std::string cause);
  void record(std::string_view name, std::string_view detail) { record(cause_, name, detail); }
  void record(std::string_view cause, std::string_view name, std::string_view detail);

 private:
  struct Writer;
  env::Shard& shard_;
  std::shared_ptr<Writer> writer_;
  std::string cause_;
  std::atomic<uint64_t> next_{1};
};

}  // namespace paceline::server
