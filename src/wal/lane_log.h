#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "env/block_pool.h"
#include "env/sync.h"
#include "wal/append_call.h"
#include "wal/lane_files.h"
#include "wal/marks.h"
#include "wal/segment_set.h"
#include "wal/stager.h"
#include "wal/stream_order.h"

namespace paceline::wal {

// The machine of an open lane: mailbox -> order -> stage -> commit -> acknowledge. One commit is in
// flight at a time; what arrives meanwhile is copied into blocks at once, up to one commit's worth,
// and the rest waits with its caller's memory. Owned by one shard, except where it says otherwise.
class LaneLog : public std::enable_shared_from_this<LaneLog> {
 public:
  LaneLog(env::Shard& owner, LaneFiles files, const FileWalOptions& options);
  LaneLog(const LaneLog&) = delete;
  LaneLog& operator=(const LaneLog&) = delete;

  void start();                            // begins to reserve space
  CallBox& mailbox() { return mailbox_; }  // any shard
  void accept(std::shared_ptr<Call> call);
  Position durable_end() const {
    return Position(durable_end_.load(std::memory_order_acquire));
  }  // any shard
  void on_lost(std::move_only_function<void(Error)> notify);
  void forget() { notify_lost_ = nullptr; }  // the writer has gone; what is in flight ends
  uint64_t slots_since(Position) const { return 0; }
  env::Shard& owner() { return owner_; }

  static Task<Result<void>> trim(std::shared_ptr<LaneLog> log, Position up_to);
  static Task<void> close(std::shared_ptr<LaneLog> log);

 private:
  struct Commit;

  void stage_waiting();
  void stage(const std::shared_ptr<Call>& call);
  void schedule();
  void start_commit();
  void write_commit(SegmentSet::Place place);
  static void run_commit(Commit& commit);
  void finish_commit(Commit& commit);
  void fill_ahead(uint64_t commit_bytes);
  // Nothing of what is staged or waits was written; the lane goes on.
  void refuse_all(const Error& error);
  // The lane is over; `flying` is the commit's calls, which share the fate of the rest.
  void lose(Calls flying, Error error);
  Calls take_pending();
  void end_here();
  bool idle() const {
    return !flying_ && !filling_ && !staged_count() && waiting_.empty() && !ending_;
  }
  size_t staged_count() const { return staged_.size(); }

  env::Shard& owner_;
  const LaneFiles files_;
  const uint64_t group_bytes_max_;
  const uint64_t offload_lane_;
  CallBox mailbox_;

  StreamOrder order_;
  env::BlockPool pool_;
  Stager stager_;
  std::shared_ptr<SegmentSet> segments_;
  Calls staged_;                               // copied into stager_
  std::deque<std::shared_ptr<Call>> waiting_;  // behind them, not copied yet
  MarkCollector marks_;                        // of what is staged
  std::string marks_before_;                   // of the last commit that was written

  Position position_;      // of the next group
  uint64_t sequence_ = 1;  // of the next group
  std::atomic<uint64_t> durable_end_ = 0;

  bool flying_ = false;     // a commit
  bool filling_ = false;    // zeros are written ahead
  bool scheduled_ = false;  // start_commit() is posted
  bool ending_ = false;     // our own END is being written
  bool closing_ = false;
  bool trimming_ = false;
  std::optional<Error> lost_;
  std::move_only_function<void(Error)> notify_lost_;
  env::Event changed_;  // idle or trimmed
};

}  // namespace paceline::wal
