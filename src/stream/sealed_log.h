#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/shard.h"
#include "env/sync.h"
#include "wal/wal.h"

namespace paceline::stream {

// What stands in the log of one lane above what was uploaded of it, whole or in part.
struct SealedLog {
  Result<Position> end = Position();  // of the lane
  env::Duration took{};               // until the end was known here
  std::vector<wal::Group> groups;     // in order
  std::optional<Error> broken;        // what stood behind the groups could not be read
  // Not read here, but told by this broker, which read it; then only these streams are in it.
  std::optional<BrokerId> teller;
  std::set<StreamId> only;

  bool is_whole() const;  // nothing is missing or damaged
  bool tells_of(const StreamId& stream) const { return !teller || only.contains(stream); }
};
using SharedLog = std::shared_ptr<const SealedLog>;

// As it stands, for an inspection: nothing is sealed, and `end` says nothing. A lane that has no
// log has an empty one.
Task<SealedLog> look_at_log(env::Shard& shard, wal::Wal& wal, Lane lane, Position uploaded);

// A log that somebody else has read, or we for another purpose; null: it has to be read here.
using AskForLog = std::function<Task<SharedLog>(Lane lane)>;
using OnLog = std::function<void(SharedLog)>;

// Logs that are sealed and read in the background, side by side. Kept alive by its tasks. On one
// shard.
class SealedLogs : public std::enable_shared_from_this<SealedLogs> {
 public:
  SealedLogs(env::Shard& shard, wal::Wal& wal)
      : shard_(shard), wal_(wal), running_(shard), arrived_(shard) {}

  struct Order {
    Lane lane;
    Position uploaded;
    std::function<void(const SealedLog&)> on_sealed;  // its end is known, its groups are not
    AskForLog ask = {};                               // may be empty
    OnLog on_log = {};                                // called if it was read here; may be empty
  };
  void start(Order order);
  struct Found {
    SharedLog log;
    bool given = false;  // not read for this order: told, or read here before
  };
  // REQUIRES: it was started.
  Task<Found> of(Lane lane);
  // They use the shard and the WAL until then.
  Task<void> ended() { return running_.wait_empty(); }

 private:
  static Task<void> run(std::shared_ptr<SealedLogs> self, Order order, env::Gate::Pass);
  Task<SealedLog> read(const Order& order);

  env::Shard& shard_;
  wal::Wal& wal_;
  std::map<Lane, Found> logs_;
  env::Gate running_;
  env::Event arrived_;
};

}  // namespace paceline::stream
