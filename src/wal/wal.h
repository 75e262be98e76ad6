#pragma once

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

// The write-ahead log of lanes: bytes in, durable position out, seal. The contract that files and,
// later, objects implement. docs/format/wal.md describes the bytes.

namespace paceline::wal {

// What an entry is. The numbers are persisted and never change.
enum class EntryKind : uint8_t {
  batch = 1,  // a batch of `count` offsets
  trim = 2,   // the stream now starts at `base`; count 0, no payload
  marks = 3,  // the log's own: what the commit before did; neither appended nor read by anybody
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
  // Entries from the group that ends above `from` on. A lane that is not sealed may be read for
  // inspection: the reader then ends at the last whole group it finds, and changes nothing.
  virtual Task<Result<std::unique_ptr<Reader>>> read(env::Shard& shard, Lane lane,
                                                     Position from) = 0;
  // REQUIRES: sealed, and nobody needs it any more. Fine if absent.
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

}  // namespace paceline::wal
