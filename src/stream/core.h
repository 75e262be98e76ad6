#pragma once

#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "env/sync.h"
#include "meta/records.h"
#include "stream/image.h"
#include "stream/log_cache.h"
#include "stream/object_builder.h"
#include "stream/object_reader.h"
#include "stream/passport.h"
#include "stream/read_ahead.h"
#include "stream/recover.h"

// What the phases of storage share. core -> one Part a shard -> its streams.

namespace paceline::stream {

class Core;
class Part;
class Uploader;
class Collector;
class Compactor;

// An exclusive right of one shard's tasks, given back when it is destroyed.
class Lock {
 public:
  explicit Lock(env::Shard& shard) : event_(shard) {}
  class Held {
   public:
    explicit Held(Lock& lock) : lock_(&lock) {}
    Held(Held&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    ~Held() {
      if (!lock_) return;
      lock_->held_ = false;
      lock_->event_.notify_all();
    }

   private:
    Lock* lock_;
  };
  Task<Held> acquire() {
    while (held_) co_await event_.wait();
    held_ = true;
    co_return Held(*this);
  }

 private:
  env::Event event_;
  bool held_ = false;
};

// What compaction has made of neighbours of one stream.
struct Replacement {
  StreamId stream;
  std::vector<Extent> replaced;
  Extent by;
};

// A stream on its shard: open when it has an owner, else parked (on the first shard).
class StoredStream final : public Stream {
 public:
  StoredStream(StreamId id, Core& core, Part& part) : id_(id), core_(&core), part_(&part) {}
  StoredStream(StreamId id, Core& core, Part& part, StreamImage image);

  StreamId id() const override { return id_; }
  Offset start() const override { return start_; }
  Offset end() const override { return end_; }
  uint64_t bytes() const override { return extent_bytes_ + tail_bytes_; }
  Task<Result<Position>> append(std::vector<Batch> batches) override;
  Task<Result<ReadResult>> read(ReadRequest request) override;
  void expect(Offset from) override;
  Task<Result<void>> trim(Offset new_start) override;
  Task<Result<void>> confirm() override;
  Task<Result<std::optional<Batch>>> first_batch_since(int64_t timestamp) override;
  Task<Result<std::optional<Batch>>> batch_of_max_timestamp() override;
  Offset retention_start(const RetentionLimits& limits) const override;
  Offset settled() const override;
  Slice excerpt(Offset from) const override;

  // The owner's side of open and close.
  Task<Result<Recovered>> recover_owner();
  void attach(StateOwner& owner);
  void detach();
  void move_to(Part& part);
  const std::string& offline() const { return offline_; }

  // The upload's side.
  bool dirty() const { return end_ != uploaded_end_ || start_ != uploaded_start_ || confirmed_; }
  StreamPart cut(bool checkpoint);
  void note_uploaded(const DirectoryRecord& record, const Extent& extent);
  // Takes the new extent in place of those that are left of the old ones; false if none is.
  bool replace(const Replacement& replacement);

  // A move's side. Nothing of it changes that its passport tells of before something is added.
  bool is_idle() const { return owner_ && in_flight_ == 0; }
  bool awaits_checkpoint() const { return replaced_; }
  Passport passport();
  Version version() const { return {epoch_, end_, !offline_.empty()}; }
  void raise_start(Offset start);

  // Recovery's side.
  void forget_tail() { end_ = appended_end_ = uploaded_end_; }
  void add_tail_bytes(uint64_t bytes) { tail_bytes_ += bytes; }

  void set_erased(bool erased) { erased_ = erased; }

  // The cache's side.
  BatchRun& cached() { return cached_; }
  Offset uploaded_end() const { return uploaded_end_; }

 private:
  friend class Part;
  Result<void> admit(const std::vector<Batch>& batches);
  void persist(std::vector<Batch> batches, wal::Written written);
  Task<Result<ReadResult>> read_from(ReadRequest request);
  Task<Result<void>> log_start(Offset start);
  void set_start(Offset start);
  void drop_extents();
  Result<void> usable() const;
  // Adds whole batches from `*at` on; false when no more fit.
  bool take(const Batch& batch, const ReadRequest& request, ReadResult& result, Offset& at,
            size_t& bytes) const;
  bool read_cached(const ReadRequest& request, ReadResult& result, Offset& at, size_t& bytes) const;
  Task<Result<bool>> read_block(const ReadRequest& request, ReadResult& result, Offset& at,
                                size_t& bytes, bool& waited);
  const Extent* find_extent(Offset offset) const;
  bool was_moved(const Extent& extent, const Error& error) const;
  Task<Result<std::shared_ptr<const ObjectReader::Block>>> find_block(ObjectId object,
                                                                      ReadRequest request,
                                                                      Offset at, bool& waited);
  // Fetches `count` blocks in the background, also out of the next object, from the one that holds
  // `at` on: that one included, or left to the caller. REQUIRES: count > 0.
  enum class First { included, left };
  void fetch_ahead(Offset at, size_t count, First which);
  Task<Result<void>> improve_by_extent(Extent extent, Offset start, std::optional<Batch>& best);
  Task<Result<std::optional<Batch>>> first_in_extent(Extent extent, Offset start,
                                                     int64_t timestamp);

  const StreamId id_;
  Core* core_;
  Part* part_;
  StateOwner* owner_ = nullptr;
  bool erased_ = false;
  bool held_ = false;       // somebody has its passport: what that names stays named here
  bool confirmed_ = false;  // an upload has its entry to let go
  bool replaced_ = false;   // compaction's extents are here, and not committed yet
  Offset start_;
  Offset end_;
  Offset appended_end_;    // what is on its way to the WAL included
  size_t in_flight_ = 0;   // appends
  Offset uploaded_start_;  // as the last committed directory says
  Offset uploaded_end_;
  Offset uploaded_snapshot_end_;  // what is above it is kept for the next owner, trimmed or not
  Epoch epoch_{-1};
  Epoch appended_epoch_{-1};  // of what is on its way to the WAL
  uint64_t extent_bytes_ = 0;
  uint64_t tail_bytes_ = 0;  // of batches above uploaded_end_
  std::vector<Extent> extents_;
  BatchRun cached_;
  ReadAhead readers_;
  Offset snapshot_end_;  // of snapshot_, which counts only while there is no owner
  std::string snapshot_;
  std::string offline_;
};

// One shard's streams and caches.
class Part {
 public:
  Part(Core& owner, env::Shard& home);

  StoredStream* find(const StreamId& id);
  StoredStream& add(std::unique_ptr<StoredStream> stream);  // moves its cached batches in
  std::unique_ptr<StoredStream> take(const StreamId& id);   // null if not here
  // An erased stream: gone, or out of reach until its owner closes it. Returns its un-uploaded
  // bytes.
  uint64_t bury(const StreamId& id);
  // One that is not open, and not ours any more: as bury().
  uint64_t drop(const StreamId& id);
  // Fetches a block in the background, unless it is there or on its way. False: there is no room
  // ahead for it, and none for those behind it.
  bool fetch_ahead(ObjectId object, const BlockRef& ref);
  // Puts a batch that has become durable into its stream's run.
  void cache(StoredStream& stream, Batch batch);
  void uncache(uint64_t charge);
  // Drops the oldest uploaded batches above the shard's share of the budget.
  void evict();

  Task<Result<std::shared_ptr<const ObjectReader::Block>>> excerpt_block(ObjectId object,
                                                                         StreamId stream,
                                                                         Offset at);

  // Everything that entered before has left when this returns: one caller at a time.
  env::Gate::Pass enter() { return gates_[gate_].enter(); }
  Task<void> flush();

  // All streams, or those with changes, but for `left_out`.
  using StreamSet = std::shared_ptr<const std::set<StreamId>>;
  Task<std::vector<StreamPart>> cut(bool checkpoint, StreamSet left_out);
  // Takes in what concerns streams here; which of them that were, by their places.
  Task<std::vector<size_t>> replace(std::shared_ptr<const std::vector<Replacement>> replacements);
  // Those in `gone` have left since they were cut, and may have come back as they are elsewhere.
  Task<void> note_uploaded(std::shared_ptr<const std::vector<StreamPart>> parts,
                           std::shared_ptr<const BuiltObject> built, StreamSet gone);

  Core& core;
  env::Shard& shard;
  ObjectReader reader;
  std::vector<std::unique_ptr<StoredStream>> graves;  // erased while open: their owners still look

 private:
  std::unordered_map<StreamId, std::unique_ptr<StoredStream>> streams_;
  CacheOrder order_;
  uint64_t cache_bytes_ = 0;
  env::Gate gates_[2];
  unsigned gate_ = 0;
};

// One incarnation's storage. Kept alive by its background tasks.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(std::vector<env::Shard*> all, meta::Store& meta_store, ObjectStores object_stores,
       wal::Wal& log, Options chosen, EventSink sink);
  ~Core();

  env::Shard& owner() { return *shards.front(); }
  Part& part_of(env::Shard& shard);
  Sources sources() { return {&owner(), &meta, &objects.recovery, &wal}; }

  Task<Result<void>> start();
  Task<Result<Storage::Opened>> open(env::Shard& home, StreamId id, StateOwner& state,
                                     std::optional<Lane> from);
  // On the owner shard.
  void inherit(Lane lane, LogShare share);
  void settle(Lane lane);
  Task<Result<Slice>> tell_log(LogQuestion question);
  Task<void> close(env::Shard& home, StreamId id);
  Task<Result<void>> erase(env::Shard& home, StreamId id);
  Task<void> stop(env::Instant deadline);  // on the owner shard

  // move.cc
  Task<Result<Slice>> passport(env::Shard& home, StreamId id);
  Task<Result<Position>> adopt(std::vector<Storage::Adoption> adoptions);  // on the owner shard
  Task<Result<void>> commit_adoption(env::Shard& home, Position adopted,
                                     Storage::CommitAdoption commit);  // on the owner shard
  static Task<void> forget_adopted(std::shared_ptr<Core> core, StreamId id);
  Task<void> release(StreamId id);  // on the owner shard
  // excerpt.cc
  Task<Result<ReadResult>> read_excerpt(env::Shard& home, Slice bytes, ReadRequest request);
  // What is in our log up to here is in the streams that a cut takes, as far as it counts.
  Position covered_end() const;
  Part::StreamSet undecided() const;

  // More bytes, or a moved start, wait for an upload. Any shard.
  void note_unuploaded(uint64_t bytes);
  // The log has so many slots since the last cut that reading them takes long. Any shard.
  bool slots_due() const {
    return options.upload_slots_max > 0 &&
           writer->slots_since(Position(cut_position)) >= options.upload_slots_max;
  }
  // Append is refused above this: the store has failed for long.
  uint64_t unuploaded_bytes_max() const {
    return 4 * options.upload_bytes + options.log_cache_bytes;
  }
  void lose(Error error);  // on the owner shard
  // The revision of our lane's record, as of some moment after the call. fenced: the lane is
  // sealed, or gone. On the owner shard.
  Task<Result<Revision>> still_open();

  const std::vector<env::Shard*> shards;
  meta::Store& meta;
  const ObjectStores objects;  // one a purpose
  wal::Wal& wal;
  const Options options;
  const EventSink events;
  Counters counters;
  std::unique_ptr<wal::Writer> writer;
  std::vector<std::unique_ptr<Part>> parts;
  std::atomic<bool> lost{false};
  std::atomic<uint64_t> cut_position{0};     // what the last upload took, committed or on its way
  std::atomic<bool> dropped_extents{false};  // a checkpoint may set objects free

  // On the owner shard only.
  Lock structure;                // streams neither come, go nor move while it is held
  std::string damaged;           // not empty: no stream may be served, and nothing is uploaded
  std::string estate_damaged;    // not empty: a stream that we do not know may be damaged
  std::vector<StreamId> erased;  // not yet in a committed directory
  std::set<StreamId> dropped;    // went elsewhere since the last cut
  std::unordered_map<StreamId, Part*> open_in;
  std::unique_ptr<Uploader> uploader;
  std::unique_ptr<Collector> collector;
  std::unique_ptr<Compactor> compactor;
  uint64_t next_object = 1;  // of our lane: numbers below it are taken, for good
  std::move_only_function<void(Error)> on_lost;
  std::optional<Error> loss;

 private:
  // What a lane of another broker has left, as read from it.
  struct Estate {
    explicit Estate(env::Shard& shard) : arrived(shard) {}
    LogShare share;
    // Its log, read here and whole, for whoever else needs it; null: none for them. Nothing: it is
    // not read yet.
    std::optional<SharedLog> log;
    std::optional<Result<Recovery>> recovery;
    std::optional<std::set<StreamId>> told;  // of no others does it know all
    bool settled = false;                    // nobody asks for anything of it any more
    bool handed_over = false;                // the uploader knows
    env::Event arrived;
  };
  // A stream that somebody waits for to be brought to a part.
  struct Bringing {
    StreamId id;
    std::shared_ptr<Estate> estate;  // it may be in there
    std::optional<Result<StoredStream*>> outcome = {};
  };
  void park(Recovery recovery);
  StoredStream& park_one(StreamId id, StreamImage image);
  // estate.cc
  static Task<void> load_estate(std::shared_ptr<Core> core, Lane lane,
                                std::shared_ptr<Estate> estate);
  static Task<SharedLog> ask_for_log(std::shared_ptr<Core> core, std::shared_ptr<Estate> estate,
                                     Lane lane);
  static Task<std::optional<SealedLog>> ask_one(std::shared_ptr<Core> core,
                                                std::shared_ptr<Estate> estate,
                                                LogQuestion question, env::Instant began);
  static Task<void> forget_log(env::Shard* home, std::shared_ptr<Estate> estate);
  void note_log(Estate& estate, SharedLog log);
  Task<Result<std::shared_ptr<Estate>>> estate_with(Lane lane, StreamId id);
  Task<Result<StoredStream*>> bring(Part& part, StreamId id, std::optional<Lane> from);
  // Null, with the outcome, if it cannot be brought.
  std::unique_ptr<StoredStream> take_out(Part& part, Bringing& one);
  void take_from(Estate& estate, StreamId id);
  Result<void> may_adopt(const StreamId& id);
  bool forget_undecided(const StreamId& id);  // whether it was
  Task<Result<wal::Written>> log_adoptions(const std::vector<Storage::Adoption>& adoptions,
                                           size_t first, size_t last);
  void drop(const StreamId& id);
  Task<void> log_release(StreamId id);
  Task<void> park_again(Part& part, StreamId id);
  Task<void> bury(StreamId id);

  std::map<Lane, std::shared_ptr<Estate>> estates_;   // on the owner shard
  env::Event log_read_;                               // of one of them, or none to be had
  std::map<Part*, std::vector<Bringing*>> bringing_;  // likewise
  // Adopted, and neither committed nor forgotten, by what adopt() returned: in our log, in no
  // directory. On the owner shard.
  std::map<Position, std::vector<meta::Adopted>> undecided_;
  std::optional<Position> adopting_;  // one call's entries are on their way, behind this
  std::set<StreamId> unwanted_;       // open, and forgotten when they are closed
  Lock adopting_turn_;
  std::atomic<bool> dirty_{false};
  std::atomic<bool> full_{false};
  friend class Uploader;
};

}  // namespace paceline::stream
