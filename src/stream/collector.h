#pragma once

#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "stream/core.h"

namespace paceline::stream {

// Removes objects that nobody refers to: mark in the metadata, wait for readers, delete the body,
// then the mark. On the owner shard. The listing it does of sealed lanes finds orphans only: it
// never decides what is live.
class Collector {
 public:
  explicit Collector(Core& core);

  static Task<void> run(std::shared_ptr<Core> core);
  // A committed object, and the bytes of batches it was made with (0 = not told).
  void know(ObjectId id, uint64_t batch_bytes) { known_.emplace(id, batch_bytes); }
  std::unordered_map<ObjectId, uint64_t> made_bytes() const;
  // A body of our lane that was put, and will never be committed.
  void forget(ObjectId id);
  // A checkpoint is committed: what none of its streams refers to, nobody needs.
  void retain(const std::vector<StreamPart>& checkpoint, ObjectId object);
  Task<void> stop(env::Instant deadline);

 private:
  struct Doomed {
    ObjectId id;
    bool orphan = false;  // has no mark
    env::Instant due;
  };
  Task<Result<void>> mark();
  Task<Result<void>> remove_due();
  Task<Result<void>> load_marks();
  Task<Result<void>> find_orphans();
  Task<Result<bool>> is_foreign(ObjectId id);
  Task<Result<void>> end_unfinished();
  void doom(ObjectId id, bool orphan);

  Core& core_;
  std::map<ObjectId, uint64_t> known_;
  std::vector<ObjectId> unmarked_;
  std::deque<Doomed> doomed_;
  std::set<ObjectId> pending_;  // in doomed_
  bool stopping_ = false;
  bool ended_ = false;
  env::Event wake_;
};

}  // namespace paceline::stream
