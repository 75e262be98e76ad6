#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "stream/compaction_plan.h"
#include "stream/core.h"
#include "stream/retry.h"

namespace paceline::stream {

// An object that compaction has put, and what it stands for. It counts from the checkpoint on that
// is committed together with its record; before that it is an orphan.
struct Compacted {
  ObjectId id;
  meta::ObjectRecord record;
  std::vector<Replacement> replacements;
};

// Makes few long extents of many short ones, on the owner shard: plans from a committed checkpoint,
// fetches, builds and puts new objects, a few at a time, and hands them to the uploader, whose next
// checkpoint takes them in. Changes nothing by itself, so that it may die anywhere.
class Compactor {
 public:
  explicit Compactor(Core& core);

  static Task<void> run(std::shared_ptr<Core> core);

  // The uploader's side. A committed checkpoint, while nothing else is planned.
  void offer(const std::vector<StreamPart>& checkpoint, const BuiltObject& built);
  bool has_ready() const { return !ready_.empty(); }
  // Results for the checkpoint that is being cut, at most `count_max`.
  std::vector<Compacted> take_ready(size_t count_max);
  // What was taken is committed.
  void committed() { taken_ = 0; }
  void wake() { wake_.notify_all(); }
  // Begins nothing more.
  void cease() {
    stopping_ = true;
    wake_.notify_all();
  }
  Task<void> stop(env::Instant deadline);

 private:
  // Consecutive blocks of one object: one fetch.
  struct Fetch {
    ObjectId object;
    uint64_t position = 0;
    uint64_t bytes = 0;
    std::vector<BlockRef> blocks;
  };
  using BlockKey = std::pair<ObjectId, uint64_t>;
  // The blocks of one item, on their way.
  struct Gathering {
    explicit Gathering(env::Shard& shard) : over(shard) {}
    std::vector<Fetch> fetches;
    size_t next = 0;
    size_t running = 0;
    std::map<BlockKey, std::vector<Batch>> blocks;
    std::optional<Error> error;
    env::Event over;
  };
  struct IndexKey {
    ObjectId object;
    bool operator==(const IndexKey&) const = default;
    size_t hash() const { return std::hash<ObjectId>{}(object); }
  };

  bool enabled() const;
  size_t worker_count() const;
  bool idle() const {
    return !planning_ && queue_.empty() && running_ == 0 && ready_.empty() && taken_ == 0;
  }
  CompactionLimits limits() const;
  Task<void> carry_out(std::vector<CompactionItem> items);
  static Task<void> work(std::shared_ptr<Core> core);
  Task<void> wait_for_uploads();
  Task<Result<void>> pause(Backoff& backoff, Error error);
  void give_up(const CompactionItem& item, const Error& error);

  Task<Result<Compacted>> compact(CompactionItem item);
  // The blocks of each run, in the order of its extents.
  Task<Result<std::vector<std::vector<BlockKey>>>> find_blocks(const CompactionItem& item,
                                                               Gathering& gathering);
  Task<Result<std::shared_ptr<const Index>>> index(ObjectId object);
  Task<Result<void>> gather(std::shared_ptr<Gathering> gathering);
  static Task<void> fetch_some(std::shared_ptr<Core> core, std::shared_ptr<Gathering> gathering);
  Task<Result<void>> fetch(Gathering& gathering, const Fetch& fetch);
  Task<Result<BuiltObject>> put(std::shared_ptr<const std::vector<StreamPart>> parts);

  Core& core_;
  LoadingCache<IndexKey, Index> indexes_;
  std::shared_ptr<const CompactionInput> input_;
  bool planning_ = false;
  std::deque<CompactionItem> queue_;
  size_t running_ = 0;            // workers
  std::vector<Compacted> ready_;  // put, not in a checkpoint yet
  size_t taken_ = 0;              // by a checkpoint that is not committed yet
  std::set<ObjectId> damaged_;    // sources that could not be read: left alone in this life
  bool stopping_ = false;
  bool ended_ = false;
  env::Event wake_;
};

}  // namespace paceline::stream
