#pragma once

#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "stream/core.h"
#include "stream/references.h"

namespace paceline::stream {

// Removes objects that nobody refers to: mark in the metadata, wait for readers, delete the body,
// then the mark. On the owner shard. Beside other brokers, whose streams may have been ours, it
// asks their directories as well. It collects what its own broker's lanes have made, and, if it has
// the lowest id of those registered, what the lanes of brokers have that are not. The listing it
// does of sealed lanes finds orphans only: it never decides what is live.
class Collector {
 public:
  explicit Collector(Core& core);

  static Task<void> run(std::shared_ptr<Core> core);
  // A committed object, and the bytes of batches it was made with (0 = not told).
  void know(ObjectId id, uint64_t batch_bytes) { known_.emplace(id, batch_bytes); }
  std::unordered_map<ObjectId, uint64_t> made_bytes() const;
  // A body of our lane that was put, and will never be committed.
  void forget(ObjectId id);
  // A checkpoint is committed: what none of its streams refers to, we do not need.
  void retain(const std::vector<StreamPart>& checkpoint, ObjectId object);
  Task<void> stop(env::Instant deadline);

 private:
  struct Doomed {
    ObjectId id;
    bool orphan = false;  // has no mark
    env::Instant due;
  };
  Task<Result<void>> judge();
  Task<Result<bool>> judge_with_others(std::set<BrokerId> responsible);
  // Ours, and of those that are not registered, perhaps.
  Task<Result<std::set<BrokerId>>> responsible();
  Sources sources() const;
  Task<Result<void>> mark();
  Task<Result<void>> remove_due();
  Task<Result<void>> load_marks();
  Task<Result<void>> search();
  Task<Result<void>> find_orphans(BrokerId broker);
  Task<Result<bool>> is_foreign(ObjectId id);
  Task<Result<void>> end_unfinished(BrokerId broker);
  void doom(ObjectId id, bool orphan);

  Core& core_;
  std::map<ObjectId, uint64_t> known_;
  std::vector<ObjectId> loose_;  // that our newest checkpoint does not refer to
  ReferenceReader references_;
  bool alone_ = true;               // no other broker was ever registered
  env::Instant round_at_;           // when to ask next what nobody needs
  std::vector<ObjectId> unmarked_;  // that nobody refers to
  std::deque<Doomed> doomed_;
  std::set<ObjectId> pending_;  // in doomed_
  bool stopping_ = false;
  bool ended_ = false;
  env::Event wake_;
};

}  // namespace paceline::stream
