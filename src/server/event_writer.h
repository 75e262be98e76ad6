#pragma once

#include "broker/event_topic.h"
#include "server/event_log.h"

namespace paceline::server {

// Brings what the log of events holds to the topic of events, behind everything else: nobody waits
// for it. An event may be there twice, never at another place among those of its source. On the
// log's shard.
class EventWriter {
 public:
  EventWriter(env::Shard& shard, EventLog& log, broker::Node& node);

  void start();
  // Writes what is left, for a moment at most, and ends. The object stays until the shard has
  // ended.
  Task<void> stop();

 private:
  Task<void> run();
  // How many of the log's oldest are done with.
  Task<size_t> write_some();

  env::Shard& shard_;
  EventLog& log_;
  broker::Node& node_;
  size_t bytes_max_;
  bool running_ = false;
  bool stopping_ = false;
  env::Instant until_ = env::Instant::never();
  env::Event stop_;  // stopping_ or running_ has changed
};

}  // namespace paceline::server
