#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/disk.h"
#include "env/shard.h"
#include "object/object.h"

// The write-ahead log of lanes: bytes in, durable position out, seal. The contract that files and
// objects implement. docs/format/wal.md describes the bytes.

namespace paceline::wal {

// What an entry is. The numbers are persisted and never change.
enum class EntryKind : uint8_t {
  batch = 1,    // a batch of `count` offsets
  trim = 2,     // the stream now starts at `base`; count 0, no payload
  marks = 3,    // the log's own: what the commit before did; neither appended nor read by anybody
  adopt = 4,    // the payload replaces what the lane knew of the stream; count 0
  release = 5,  // the stream, which ended at `base`, went to another lane; count 0, no payload
};

struct EntryHeader {
  StreamId stream;
  EntryKind kind = EntryKind::batch;
  Epoch epoch;         // of the term that appended it
  Offset base;         // first offset (batch), new start (trim)
  uint32_t count = 0;  // offsets it takes
  int64_t append_time_ms = 0;
  int64_t max_timestamp = -1;    // of the records in it
  uint64_t producer_id = ~0ull;  // ~0 = none; lets an index tell which producers were touched
};
struct Entry {
  EntryHeader header;
  Slice payload;
  std::optional<uint32_t> payload_crc = {};  // CRC32C of the payload, if it is known
};

// What became of an entry: its payload where it stands in the log's own block (which is the block
// that caches and uploads use), and the log's durable end just after it.
struct Written {
  Position end;
  std::vector<Slice> payloads;  // one an entry
};

// The writer of one open lane. Entries are durable in the order of append() calls of one shard, and
// acknowledged in the order of the log. Group commit without a linger: what arrives while a commit
// runs goes together with the next.
class Writer {
 public:
  virtual ~Writer() = default;

  // Resumes on `home` once all entries are durable in the unsealed lane. Errors:
  //  conflict        a batch does not start where the last accepted one of its stream ended: an
  //                  earlier one of that stream was refused. Nothing was written.
  //  no_space, unavailable   nothing was written; later appends may work.
  //  maybe_written   the outcome is unknown, and the lane is lost (see lost()).
  //  sealed          somebody sealed the lane; nothing of this call is acknowledged, ever.
  // After any refusal of a batch, batches of that stream are refused (conflict) until one starts
  // where the last accepted one ended. A batch of a higher epoch starts the stream's row anew: it
  // may have been led elsewhere in between. One of a lower epoch is refused (conflict).
  virtual Task<Result<Written>> append(env::Shard& home, std::vector<Entry> entries) = 0;
  // Everything below is durable. On the owner shard; a snapshot elsewhere.
  virtual Position durable_end() const = 0;
  // How many requests a reader of what lies between `from` and the durable end has to make; 0 where
  // that is no measure. As durable_end().
  virtual uint64_t slots_since(Position from) const = 0;
  // Everything below `up_to` is in committed objects: its space may be reused. Crossing included.
  virtual Task<Result<void>> trim(env::Shard& home, Position up_to) = 0;
  // Called once, on the owner shard, when the lane can never be appended to again: sealed by
  // somebody, or its disk failed. The broker must take a new incarnation.
  virtual void on_lost(std::move_only_function<void(Error)> notify) = 0;
  // Waits for what is in flight and closes; the lane stays open for its sealer.
  virtual Task<void> close(env::Shard& home) = 0;
};

// How far one commit brought one stream.
struct StreamMark {
  StreamId stream;
  Epoch epoch;                  // the highest of its entries
  std::optional<Offset> end;    // of its last batch; nothing if it had none
  std::optional<Offset> start;  // the stream's new start, if it was trimmed
};
// A part of a lane that was durable and cannot be read any more. Each commit is told again by the
// one after it, so most often it is known whose entries are lost: streams that come up to their
// marks have lost nothing, and others that are not named have not either.
struct Damage {
  Position from;
  Position to;
  std::string why;    // the place, in words for the operator
  bool known = true;  // `streams` names all that had entries there; else it may be any stream
  std::vector<StreamMark> streams;
};
// A whole commit group of a lane, as read back.
struct Group {
  std::vector<Entry> entries;
  Position end;                // just after it
  std::vector<Damage> before;  // told here: all entries of damaged commits have been read by now
};
// Reads a lane in order. Resumes on the shard it was made for.
class Reader {
 public:
  virtual ~Reader() = default;
  // The next group; nothing at the lane's end. What could not be read is told by the group behind
  // the damaged commit, or by one without entries at the end. corrupt: nothing can be said.
  virtual Task<Result<std::optional<Group>>> next() = 0;
};

class Wal {
 public:
  virtual ~Wal() = default;
  // Creates the log of a lane that has never existed; `owner` runs it. already_exists otherwise.
  virtual Task<Result<std::unique_ptr<Writer>>> create(env::Shard& owner, Lane lane) = 0;
  // Ends the lane for good and returns its durable end: callable by anyone, idempotent. When it has
  // returned, nothing that was not durable before is ever acknowledged. A lane that never wrote
  // anything ends at 0. Damage before the end is passed over. corrupt: the end cannot be told; the
  // message says why. REQUIRES: the fence of the lane is known to have committed, and `trimmed` was
  // read at or after its revision: nothing below it is looked at.
  virtual Task<Result<Position>> seal(env::Shard& shard, Lane lane, Position trimmed) = 0;
  // Entries from the group that ends above `from` on, up to `end`, which is what seal() told: what
  // is missing below it is an error. Without an end a lane is read for inspection, sealed or not:
  // the reader then ends at the last whole group it finds, and changes nothing.
  virtual Task<Result<std::unique_ptr<Reader>>> read(env::Shard& shard, Lane lane, Position from,
                                                     std::optional<Position> end) = 0;
  // REQUIRES: sealed, and nobody needs it any more. Fine if absent. What decides a late writer or
  // sealer stays for ever.
  virtual Task<Result<void>> remove(env::Shard& shard, Lane lane) = 0;
};

struct FileWalOptions {
  std::string folder;  // one sub-folder a lane
  Uuid cluster_id;     // in every segment; another cluster's is refused
  uint64_t segment_bytes = 128ull << 20;
  uint64_t group_bytes_max = 8ull << 20;  // of one commit
  uint64_t block_bytes = 4ull << 20;      // of memory, filled by consecutive groups
};
std::unique_ptr<Wal> make_file_wal(env::Disk& disk, FileWalOptions options);

// What an object WAL has done so far. Any shard may look.
struct ObjectWalCounters {
  std::atomic<uint64_t> slots{0};       // of our lanes that are durable
  std::atomic<uint64_t> slot_bytes{0};  // of their bodies
  std::atomic<uint64_t> puts{0};        // requests, by kind
  std::atomic<uint64_t> gets{0};
  std::atomic<uint64_t> removes{0};
  std::atomic<uint64_t> lists{0};
  std::atomic<uint64_t> retries{0};   // requests of these that were made again
  std::atomic<uint64_t> late{0};      // answers that came behind their deadline, or never
  std::atomic<uint64_t> fences{0};    // lanes of ours that somebody sealed
  std::atomic<uint64_t> un_acked{0};  // slots that are put and not yet acknowledged, now
  // When a slot of ours was settled last, or the first of those on their way left, if later.
  std::atomic<env::Instant> settled{env::Instant{}};
  std::atomic<uint64_t> seals{0};  // seals of ours that are in place
};

struct ObjectWalOptions {
  Uuid cluster_id;  // in each key and body
  Lane self = {};   // whose name stands in the seals it puts, for the operator
  // A slot leaves at once when none is on its way; otherwise when it is so old (or half as old as a
  // put takes of late, if that is less) or so big, or as soon as none is on its way any more.
  env::Duration window = std::chrono::milliseconds(25);
  uint64_t slot_bytes_max = 8ull << 20;
  size_t puts_max = 8;  // slots on their way, from the first that is not acknowledged on
  uint64_t block_bytes = 4ull << 20;  // of memory, filled by consecutive slots
  // Of each request: longer than the store itself takes before it gives up.
  env::Duration request_deadline = std::chrono::seconds(60);
  env::Duration close_patience = std::chrono::seconds(10);   // with a store that does not answer
  env::Duration missing_patience = std::chrono::seconds(3);  // with a slot that must be there
  size_t reads_max = 16;                                     // slots fetched ahead of a reader
  uint64_t read_ahead_bytes = 32ull << 20;
  std::shared_ptr<ObjectWalCounters> counters = {};  // none: nobody looks
};
// `store` must honour put_if_absent. One slot is one position: it covers [n, n + 1).
std::unique_ptr<Wal> make_object_wal(object::Store& store, ObjectWalOptions options);

}  // namespace paceline::wal
