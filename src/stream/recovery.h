#pragma once

#include <functional>
#include <string>
#include <vector>

#include "meta/store.h"
#include "object/object.h"
#include "stream/stream.h"
#include "wal/wal.h"

// Offline inspection of a broker's storage: read only. Nothing is sealed, written or repaired. For
// a broker that is down, or not uploading: what one that runs trims meanwhile may look like damage.

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
  std::vector<std::string> orphans;   // bodies that no record refers to: young, or left by a crash
  uint64_t object_count = 0;          // verified: every block, index and directory of each
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
  BrokerId broker;
};

// Reads and verifies everything. An error only where nothing can be said, e.g. the metadata fails.
Task<Result<CheckReport>> check(Inspected inspected);

// Every batch of a stream, in order, objects first and then the WAL's tail. Ends with the visitor's
// error, or corrupt where the batches do not follow each other.
using Visitor = std::function<Result<void>(const Batch&)>;
Task<Result<void>> read_all(Inspected inspected, StreamId stream, Visitor visitor);

}  // namespace paceline::stream
