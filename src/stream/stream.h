#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/event.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/budget.h"
#include "env/shard.h"
#include "meta/store.h"
#include "object/object.h"
#include "wal/wal.h"

// The waist of the house: streams of batches, kept in the lane's WAL, cached, uploaded to objects,
// recovered. It knows no Kafka word except "batch of N offsets".

namespace paceline::stream {

struct Batch {
  Offset base;
  uint32_t count = 0;  // offsets it takes
  Epoch epoch;
  int64_t append_time_ms = 0;
  int64_t max_timestamp = -1;
  uint64_t producer_id = ~0ull;  // ~0 = none
  Slice bytes;
  std::optional<uint32_t> crc = {};  // CRC32C of `bytes`, if it is known
  Offset end() const { return base + static_cast<int64_t>(count); }
};

// What a stream's owner adds to a directory: a snapshot of all the state that batches below `end`
// made, and of nothing else. Called on the stream's shard; `end` is at or below the durable end.
class StateOwner {
 public:
  virtual std::string snapshot(Offset end) = 0;

 protected:
  ~StateOwner() = default;
};

// What a stream's owner starts from: the last snapshot, then the batches above it, in order.
struct Recovered {
  std::string snapshot;  // empty: none yet
  Offset snapshot_end;   // the snapshot covers everything below
  std::vector<Batch> tail;
};

struct ReadRequest {
  Offset from;  // may stand inside a batch: that batch is returned whole
  size_t bytes_max = 0;
  bool at_least_one = true;  // a first batch above bytes_max is returned all the same
};
// Whole batches, consecutive, below the durable end. Empty when `from` is the end.
struct ReadResult {
  std::vector<Batch> batches;
  Offset start;  // the log start and durable end of the same snapshot
  Offset end;
};

struct RetentionLimits {
  std::optional<int64_t> older_than_ms;  // drop what has max_timestamp below this
  std::optional<uint64_t> bytes_max;     // drop the oldest above this size
};

// One stream, on one shard. Ends with its Storage.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual StreamId id() const = 0;
  virtual Offset start() const = 0;
  virtual Offset end() const = 0;      // durable: the high watermark
  virtual uint64_t bytes() const = 0;  // retained, tail included

  // Appends consecutive batches; resumes when they are durable and end() covers them, in the order
  // of the calls. Errors as wal::Writer::append. After an error the caller waits until nothing it
  // sent is in flight, then goes on from end(). unavailable as well when too much waits for its
  // upload. The task runs to its end (or to the shard's): it is not destroyed half-way.
  virtual Task<Result<Position>> append(std::vector<Batch> batches) = 0;
  // out_of_range below start() or above end(). Where the only copy is damaged: corrupt.
  virtual Task<Result<ReadResult>> read(ReadRequest request) = 0;
  // A reader comes back soon for what begins there: what lies in the store is on its way from now
  // on. For one who reads many streams, one after the other.
  virtual void expect(Offset from) = 0;
  // Moves the start up, durably, before it is visible. Never down; never above end().
  virtual Task<Result<void>> trim(Offset new_start) = 0;
  // An entry that changes nothing becomes durable. sealed: our lane may have been sealed before
  // this was called, and what we know of the stream is then not all that there is.
  virtual Task<Result<void>> confirm() = 0;
  // The first batch whose max_timestamp is at or above `timestamp`, by the time index.
  virtual Task<Result<std::optional<Batch>>> first_batch_since(int64_t timestamp) = 0;
  // The first batch that holds the greatest max_timestamp.
  virtual Task<Result<std::optional<Batch>>> batch_of_max_timestamp() = 0;
  // Where the start may move to. Whole extents (one stream's share of an object) only, never above
  // the uploaded end.
  virtual Offset retention_start(const RetentionLimits& limits) const = 0;
  // For readers on brokers that do not have it open. Below this everything is uploaded, and more is
  // uploaded above it.
  virtual Offset settled() const = 0;
  // Where what is uploaded lies from `from` on, as far as it goes, for Storage::read_excerpt()
  // elsewhere; for as long as half of Options::delete_grace_ms. Empty: it is not uploaded, or gone.
  virtual Slice excerpt(Offset from) const = 0;
};

// The lanes of other brokers that name a given one as a successor.
using LeftTo = std::function<std::vector<Lane>(Lane)>;

struct Options {
  Uuid cluster_id;
  Lane lane;                            // ours, open, registered
  uint64_t upload_bytes = 64ull << 20;  // un-uploaded bytes that start an upload
  int64_t upload_age_ms = 20'000;       // or their age
  uint64_t upload_slots_max = 256;      // or the log's slots, where it has such; 0: never
  uint64_t block_bytes = 1ull << 20;    // of one stream in an object, at most, unless one batch
  uint64_t log_cache_bytes = 256ull << 20;
  uint64_t block_cache_bytes = 128ull << 20;
  // Reads that no cache answers: at the object store at a time, in all. Others take turns.
  uint64_t read_bytes_in_flight = 32ull << 20;
  uint32_t read_requests = 64;
  bool compress_blocks = false;      // of objects, with zstd, where that saves a tenth or more
  int64_t delete_grace_ms = 60'000;  // an unreferenced object is kept for readers
  int64_t orphan_search_ms = 3600 * 1000;  // how often the listing is looked through for them
  uint32_t checkpoint_uploads =
      16;  // at the latest after so many: what a restart reads stays small
  // How often objects of other lives and of brokers that have gone are looked for that nobody
  // needs; what our own checkpoints let go is looked at each time. Beside other brokers only.
  int64_t collection_ms = 60'000;
  // Compaction: of batches in one new object, of all that are made at a time (0 = none is), fetches
  // in flight, and how many short extents or small objects become one.
  uint64_t compaction_object_bytes = 64ull << 20;
  uint64_t compaction_bytes = 128ull << 20;
  uint32_t compaction_requests = 8;
  uint32_t compaction_fan_in = 64;
  // What the cluster knows of lanes; on the first shard. Empty: there are no other brokers.
  LeftTo left_to = {};
  // Whether we lead it, as far as is known now: false only if another broker does. Asked on the
  // first shard, at the start of all that former lives knew, and of what is to be adopted.
  std::function<bool(const StreamId&)> leads = {};
};

// The object store once for each purpose, so that requests can be counted, bounded and paid for by
// purpose: whoever wraps a store gives the wrapped one. One store may serve for all.
struct ObjectStores {
  object::Store& upload;  // puts of uploads
  object::Store& read;    // a reader waits: the first read somewhere, a lookup by time
  object::Store&
      catch_up;  // a reader that goes on through objects, and what is fetched ahead of it
  object::Store& compaction;  // reads and puts of compaction
  object::Store& recovery;    // directories at a start
  object::Store& collection;  // deletes, and the only lists

  // NOLINTNEXTLINE(google-explicit-constructor): most callers have one
  ObjectStores(object::Store& all)
      : upload(all), read(all), catch_up(all), compaction(all), recovery(all), collection(all) {}
  ObjectStores(object::Store& for_upload, object::Store& for_read, object::Store& for_catch_up,
               object::Store& for_compaction, object::Store& for_recovery,
               object::Store& for_collection)
      : upload(for_upload),
        read(for_read),
        catch_up(for_catch_up),
        compaction(for_compaction),
        recovery(for_recovery),
        collection(for_collection) {}
};

// Counters for metrics; a snapshot, from any shard.
struct Stats {
  uint64_t unuploaded_bytes = 0;
  uint64_t log_cache_bytes = 0;
  uint64_t block_cache_bytes = 0;
  uint64_t cache_hits = 0;  // batches read from the log cache or the block cache
  uint64_t cache_misses = 0;
  uint64_t uploads = 0;
  uint64_t upload_failures = 0;
  uint64_t uploaded_bytes = 0;
  uint64_t compactions = 0;  // objects that compaction has put
  uint64_t compaction_failures = 0;
  uint64_t compacted_bytes = 0;
  uint64_t deleted_objects = 0;
  uint64_t streams = 0;
};

// What one heir of a lane asks the one that reads its log: what stands there of these streams, from
// a group on.
struct LogQuestion {
  Lane lane;
  Lane reader;  // whom it is meant for: a later incarnation of it has read nothing
  uint32_t from_group = 0;
  std::vector<StreamId> streams;
};
// How the heirs of one lane read its log once, and those of the lanes that had been left to it.
struct LogShare {
  // The heirs of a lane that come before us, in an order that is the same to all of them. The first
  // that lives reads its log and tells the others what is theirs; with nobody before us that is us.
  // Whoever gets no answer in time reads it too. May be empty: nothing is shared.
  std::function<std::vector<Lane>(Lane)> readers = {};
  std::function<Task<Result<Slice>>(env::Shard& home, LogQuestion question, env::Instant deadline)>
      ask = {};
  std::vector<StreamId> streams = {};  // that are ours, as far as is known: the others are not told
};

// A broker's storage: its lane's WAL, its caches, its uploads. One per incarnation.
class Storage {
 public:
  virtual ~Storage() = default;

  // Recovers: seals and reads every sealed lane of this broker that has no done mark, in order,
  // onto the last directory before them; then opens our lane's WAL. Its parts must outlive it.
  // `shards`: all shards of the broker; the first owns the WAL and the uploads. Events of a lane
  // that is recovered have it as their cause.
  static Task<Result<std::unique_ptr<Storage>>> start(std::vector<env::Shard*> shards,
                                                      meta::Store& meta, ObjectStores objects,
                                                      wal::Wal& wal, Options options,
                                                      EventSink events);

  // The stream, from now on on shard `home`, with what its owner needs to rebuild its state.
  // in_use if it is open already; corrupt, with the reason, if it is damaged. A stream nobody has
  // written to is empty from 0. The owner may be asked for a snapshot from the return on: it takes
  // in what was recovered before it suspends.
  struct Opened {
    Stream* stream;  // lives until close() or the end of the storage
    Recovered recovered;
  };
  // `from`: the sealed lane of another broker that the stream comes from, if it is not ours yet;
  // inherit() has been called with it.
  virtual Task<Result<Opened>> open(env::Shard& home, StreamId id, StateOwner& owner,
                                    std::optional<Lane> from) = 0;
  Task<Result<Opened>> open(env::Shard& home, StreamId id, StateOwner& owner) {
    return open(home, id, owner, std::nullopt);
  }
  // The owner, asked for a last snapshot, goes; the stream may be opened again. REQUIRES: none of
  // its tasks runs.
  virtual Task<void> close(env::Shard& home, StreamId id) = 0;
  // Forgets a stream for good (its topic is deleted); its objects are collected. Closed or not.
  virtual Task<Result<void>> erase(env::Shard& home, StreamId id) = 0;

  // A planned move. Its source: what the target needs to go on with the stream, for good; too_large
  // if too much of it is not uploaded yet. The stream stays open and readable. REQUIRES: it is open
  // on `home`, nothing of it is in flight, and nothing is appended or trimmed before it is released
  // or the move is off.
  virtual Task<Result<Slice>> passport(env::Shard& home, StreamId id) = 0;
  // Its target: durable in our log on return, and open() then gives what was adopted; it counts
  // once metadata say that we lead it (commit_adoption). Replaces what this lane knew of those
  // streams. in_use: one of them is open, adopted already, or led by us; corrupt, unsupported: a
  // passport is none. Nothing is adopted after an error.
  struct Adoption {
    StreamId id;
    Slice passport;
  };
  virtual Task<Result<Position>> adopt(env::Shard& home, std::vector<Adoption> adoptions) = 0;
  // Calls `commit` on `home`, while no upload can commit, with a transaction that compares and puts
  // our lane's record, the adoptions of that call of adopt() noted that were not forgotten since;
  // the caller adds its own part. What became of it is read back here, and if it was not committed
  // it never will be: conflict, or the error of `commit`. fenced: our lane is sealed, and metadata
  // tell whether the move came first; cancelled: the storage ended before that was known.
  using CommitAdoption = std::function<Task<Result<Revision>>(meta::Transaction&&)>;
  virtual Task<Result<void>> commit_adoption(env::Shard& home, Position adopted,
                                             CommitAdoption commit) = 0;
  // Its target: the move is off, what was adopted is forgotten. An open stream goes when it is
  // closed. Of streams whose adoption was committed nothing is forgotten.
  virtual void forget_adopted(StreamId id) = 0;
  // Its source: another lane leads it now; it is dropped from our directories, its objects stay.
  // REQUIRES: closed.
  virtual Task<void> release(env::Shard& home, StreamId id) = 0;

  // A read of a stream that is open on another broker, by what it said of it: whole batches below
  // what it had uploaded then, and its start and end of then; none: the excerpt does not reach
  // `from`. out_of_range: below the start; corrupt: it is none, or its objects are gone or damaged.
  virtual Task<Result<ReadResult>> read_excerpt(env::Shard& home, Slice excerpt,
                                                ReadRequest request) = 0;

  // A lane of another broker is sealed, and ours is among its successors: seals and reads what it
  // was responsible for, in the background, so that its streams can be opened from it. From any
  // shard; once a lane.
  virtual void inherit(Lane lane, LogShare share) = 0;
  // Another heir asks: an answer for it, if only that the log is not read yet. unavailable: it is
  // not to be had here.
  virtual Task<Result<Slice>> tell_log(env::Shard& home, LogQuestion question) = 0;
  // All streams of our share of that lane have been opened: what is left of it is forgotten, and
  // once our own objects cover the share a mark says so.
  virtual void inherited(Lane lane) = 0;
  // Uploads all that is durable now, and returns when it is committed.
  virtual Task<Result<void>> upload_now(env::Shard& home) = 0;
  virtual Stats stats() const = 0;
  // Called once, on the first shard, when the lane is lost: the broker must stop and come back as a
  // new incarnation.
  virtual void on_lost(std::move_only_function<void(Error)> notify) = 0;
  // Uploads what is left (bounded by `deadline`) and ends all background work.
  virtual Task<void> stop(env::Shard& home, env::Instant deadline) = 0;
};

}  // namespace paceline::stream
