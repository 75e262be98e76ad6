#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meta/records.h"
#include "stream/image.h"
#include "stream/sealed_log.h"

namespace paceline::stream {

// What recovery reads from. `shard` is where it runs; all outlive the task.
struct Sources {
  env::Shard* shard;
  meta::Store* meta;
  object::Store* objects;
  wal::Wal* wal;
};

// One lane, as the metadata knows it.
struct LaneFacts {
  Lane lane;
  meta::LaneRecord record;
  Revision modified;
  std::map<uint64_t, meta::ObjectRecord> objects;
  std::set<Lane> marks;  // successors that have all of their share in their own objects
};
// All lanes of a broker, oldest first; without a broker those of all, by broker.
Task<Result<std::vector<LaneFacts>>> read_lanes(Sources sources, std::optional<BrokerId> broker);

// Whether nobody has committed anything in between.
bool same_lanes(const std::vector<LaneFacts>& one, const std::vector<LaneFacts>& other);

struct Recovery {
  std::vector<LaneFacts> lanes;
  size_t first = 0;  // of `lanes`: those before it went to others
  Image image;
  std::vector<Lane> replayed;  // lanes whose WAL was read, in order
  std::string damaged;         // not empty: a WAL is damaged, and any stream may have lost some
  // Not empty: that of a lane which was left to one of these is. What is known of it is offline,
  // and what nobody knows may have been in it.
  std::string estate_damaged;
  // Lanes of other brokers that were taken in, each with the lane whose share of it this is.
  std::vector<std::pair<Lane, Lane>> inherited;
  std::vector<std::string> damages;  // that streams survive, or that name those that do not
  uint64_t checkpoint_bytes = 0;     // of the last checkpoint's directory
  uint64_t group_count = 0;
  std::string cause;  // of its events: the last of the lanes; empty if there is nothing to recover
  // What was read for it, of lanes that came under these too.
  struct Read {
    uint64_t directories = 0;  // a request each
    uint64_t directory_bytes = 0;
    uint64_t log_groups = 0;  // a request each, in a log of objects
    uint64_t log_bytes = 0;
    uint64_t told_bytes = 0;  // not read for it: another heir told them, or they were here
  };
  Read read;
};

struct RecoverOptions {
  Lane own;              // lanes before it are recovered
  bool inspect = false;  // nothing is sealed, and open lanes are read as well, also `own`
  // `own` is none of ours: what is recovered is what the sealed lane before it was responsible for.
  bool of_another = false;
  LeftTo left_to = {};     // empty: there are no other brokers
  std::string cause = {};  // of events; empty: the last of its lanes
  // Of the lane before `own`, and of the last lane of each broker that comes under it: who else may
  // have read its log. May be empty.
  AskForLog ask_for_log = {};
  OnLog on_log = {};  // that of the lane before `own` was read here; may be empty
  // What has been read of lanes of other brokers: one that was left to several comes under each of
  // them, and chains of such lanes have more ways through them than anybody could walk.
  std::shared_ptr<std::map<Lane, std::shared_ptr<const Recovery>>> known = {};
};
// Of the lanes of one broker that took over from each other, up to the one before `own`: the newest
// checkpoint, the deltas after it, then the WALs from there on. What a lane inherited from another
// broker's, and has no mark for, comes under it in the same manner. A damaged checkpoint or
// delta is an error (corrupt). A damaged WAL takes along the streams that lost something, if it is
// known which; else it is told in `damaged`, with all that stood before it.
Task<Result<Recovery>> recover(Sources sources, RecoverOptions options, EventSink events);

// What a lane left has been read.
Event tell_recovered(const Recovery& recovery, env::Duration took);

// The directory section of a committed object, checked.
Task<Result<Directory>> load_directory(Sources sources, ObjectId id, meta::ObjectRecord record);

}  // namespace paceline::stream
