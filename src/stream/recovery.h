#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "meta/store.h"
#include "object/object.h"
#include "stream/stream.h"
#include "wal/wal.h"

// Inspection of the storage of brokers from anywhere that can read its metadata, objects and WAL,
// with the broker up or down: read only. Nobody is fenced; nothing is sealed, written or repaired.

namespace paceline::stream {

struct StreamReport {
  StreamId id;
  Offset start;
  Offset end;
  uint64_t bytes = 0;                 // of batches that were read
  std::vector<std::string> problems;  // empty: every offset of [start, end) is covered exactly once
};

struct CheckReport {
  std::vector<StreamReport> streams;  // by id
  std::vector<std::string> problems;  // that concern no single stream
  // Bodies that no record refers to: on their way to one, or left by a crash. Those older than the
  // grace are problems as well.
  std::vector<std::string> orphans;
  uint64_t unreferenced_count = 0;  // committed objects that go with the next checkpoint
  uint64_t object_count = 0;        // verified: every block, index and directory of each
  uint64_t block_count = 0;
  uint64_t group_count = 0;  // of WALs
  bool ok() const;
};

// What is inspected; all outlive the task, which runs on `shard`.
struct Inspected {
  env::Shard* shard;
  meta::Store* meta;
  object::Store* objects;
  wal::Wal* wal;
  std::optional<BrokerId> broker;                // only what it has; nothing: all there are
  int64_t leftover_grace_ms = 24 * 3600 * 1000;  // above which an orphan is a problem
  // Who leads what: that broker's lanes have to know it, with all of it; what others still know of
  // it is of no meaning. Streams that are not named, and all if nothing is said, are looked at
  // where they go furthest.
  std::map<StreamId, BrokerId> led = {};
};

// Reads and verifies everything. An error only where nothing can be said, e.g. the metadata fails.
Task<Result<CheckReport>> check(Inspected inspected);

// Every batch of a stream, as its leader or `broker` has it, in order, objects first and then the
// WAL's tail. Ends with the visitor's error, or corrupt where the batches do not follow each other.
using Visitor = std::function<Result<void>(const Batch&)>;
Task<Result<void>> read_all(Inspected inspected, StreamId stream, Visitor visitor);

}  // namespace paceline::stream
