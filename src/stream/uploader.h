#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "stream/compactor.h"
#include "stream/core.h"
#include "stream/retry.h"

namespace paceline::stream {

// Makes objects of what is durable, one at a time, on the owner shard: cut, build, put, commit,
// note, trim. A store that fails makes it wait, never give up; only a lost lane ends it.
class Uploader {
 public:
  Uploader(Core& core, const Recovery& recovery);

  // The loop; ends when stopped or when the lane is lost.
  static Task<void> run(std::shared_ptr<Core> core);
  // Our streams include all of our share of a lane of another broker: the next checkpoint says so.
  void inherit(Lane lane, const Recovery& recovery);
  // While it is held no upload commits.
  Task<Lock::Held> take_turn() { return turn_.acquire(); }
  // Has `commit` commit a transaction that also notes these adoptions in our lane's record; what
  // became of it is known on return, for good. REQUIRES: the turn.
  Task<Result<void>> commit_adoption(env::Shard& home, const std::vector<meta::Adopted>& adopted,
                                     Storage::CommitAdoption commit);
  size_t adopted_count() const { return record_.adopted.size(); }
  // Returns when no upload is on its way.
  Task<void> wait_idle();
  // Something is due, perhaps.
  void wake();
  // Returns when all that is durable now is committed; cancelled or fenced if that cannot be.
  Task<Result<void>> upload_now();
  // Uploads what is left, by `deadline`, then ends the loop.
  Task<void> stop(env::Instant deadline);

 private:
  struct Cut {
    Position position;
    bool checkpoint = false;
    std::vector<StreamPart> parts;  // by stream
    std::vector<StreamId> erased;
    std::vector<Compacted> compacted;          // that the parts refer to
    std::vector<std::pair<Lane, Lane>> marks;  // that are true once it is committed
    uint64_t batch_bytes = 0;
  };
  bool checkpoint_due() const;
  env::Instant next_due() const;
  Task<Result<void>> upload();
  bool cleaning_due() const;
  env::Duration cleaning_age() const;
  Task<Cut> cut();
  Task<void> take_compacted(Cut& cut);
  Task<Result<BuiltObject>> put(std::shared_ptr<const std::vector<StreamPart>> parts,
                                bool checkpoint);
  Task<Result<void>> commit(const Cut& cut, const BuiltObject& built);
  Task<Result<void>> settle_adoption(const meta::LaneRecord& next, Result<Revision> told);
  Task<Result<void>> note(const Cut& cut, std::shared_ptr<const std::vector<StreamPart>> parts,
                          std::shared_ptr<const BuiltObject> built);
  void tell_uploaded(const Cut& cut, size_t streams, const BuiltObject& built) const;
  void tell_collected(Lane lane, size_t logs) const;
  void share_inherited(const Recovery& recovery, bool our_row);
  void owe_mark(Lane lane, Lane heir);
  Task<void> remove_adopted();
  Task<void> remove_shared();
  Task<Result<bool>> all_marked(Lane left);
  Task<Result<void>> pause(Backoff& backoff, Error error);

  Core& core_;
  meta::LaneRecord record_;  // as committed
  Revision modified_;
  std::vector<Lane> adopted_;  // sealed lanes that our first object covers: their WALs go
  // Sealed lanes of other brokers, covered as far as they were left to us, with the lanes before
  // each that go with it: they go when all who share them say so.
  std::map<Lane, std::vector<Lane>> shared_;
  // Done marks that are not written: the lane, and whose share of it our objects will cover.
  std::vector<std::pair<Lane, Lane>> unmarked_;
  std::vector<std::pair<Lane, Lane>> covered_;  // by a committed checkpoint, and not written yet
  bool inherited_ = false;                      // something to cover though nothing was appended
  env::Instant noted_at_;                       // adoptions, in the lane's record
  uint64_t delta_count_ = 0;                    // since the last checkpoint
  uint64_t delta_bytes_ = 0;
  uint64_t checkpoint_bytes_ = 0;
  env::Instant last_checkpoint_;
  env::Instant inherited_at_;
  std::optional<env::Instant> dirty_since_;
  uint64_t requested_ = 0;  // upload_now() calls
  uint64_t completed_ = 0;
  bool closing_ = false;  // the next upload is the last
  bool stopping_ = false;
  bool ended_ = false;
  bool busy_ = false;     // an upload is on its way
  bool starved_ = false;  // all there was to upload is undecided: there will be a wake
  Lock turn_;             // to change the lane's record
  env::Event wake_;
  env::Event progress_;
};

}  // namespace paceline::stream
