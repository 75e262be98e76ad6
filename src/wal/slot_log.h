#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/block_pool.h"
#include "env/sync.h"
#include "wal/append_call.h"
#include "wal/marks.h"
#include "wal/slot_put.h"
#include "wal/stager.h"
#include "wal/stream_order.h"

namespace paceline::wal {

// The machine of an open lane in objects: mailbox -> order -> stage -> put -> acknowledge. Several
// slots are on their way, each until it is known who has it; they are acknowledged in their order.
// What arrives meanwhile is copied into the next slot, and the rest waits with its caller's memory.
// A store that fails makes it wait, for ever. Owned by one shard, except where it says otherwise.
class SlotLog : public std::enable_shared_from_this<SlotLog> {
 public:
  explicit SlotLog(SlotStore slots);
  SlotLog(const SlotLog&) = delete;
  SlotLog& operator=(const SlotLog&) = delete;

  void start() { pool_.keep_ready(); }
  CallBox& mailbox() { return mailbox_; }  // any shard
  void accept(std::shared_ptr<Call> call);
  Position durable_end() const {
    return Position(durable_end_.load(std::memory_order_acquire));
  }  // any shard
  uint64_t slots_since(Position from) const {
    const Position end = durable_end();
    return end > from ? end - from : 0;
  }  // any shard
  void on_lost(std::move_only_function<void(Error)> notify);
  void forget();  // the writer has gone, and perhaps the store
  env::Shard& owner() { return owner_; }

  static Task<Result<void>> trim(std::shared_ptr<SlotLog> log, Position up_to);
  static Task<void> close(std::shared_ptr<SlotLog> log);

 private:
  struct Slot {
    uint64_t sequence = 0;
    std::vector<Slice> body;
    uint64_t bytes = 0;
    Calls calls;
    env::Instant since;
    bool ours = false;
  };

  void stage_waiting();
  void stage(const std::shared_ptr<Call>& call);
  void add_entry(Call& call, Entry& entry);
  bool due() const;
  env::Duration window() const;
  void schedule();
  void wait_for_window();
  void put_slot();
  std::vector<Slice> close_slot(uint64_t sequence);
  static Task<void> settle(std::shared_ptr<SlotLog> log, std::shared_ptr<Slot> slot);
  void note_put_time(env::Duration took);
  void acknowledge();
  // The lane ends below `from` for us: nothing at or above it is ever acknowledged.
  void lose(uint64_t from, Error error);
  Calls take_from(uint64_t sequence);
  void give_up();
  static Task<void> delete_trimmed(std::shared_ptr<SlotLog> log);
  bool idle() const { return flying_.empty() && staged_.empty() && waiting_.empty(); }
  const ObjectWalOptions& options() const { return slots_.options(); }
  std::string lane() const { return slots_.owner().lane.to_string(); }

  const SlotStore slots_;
  env::Shard& owner_;
  const Nonce nonce_;  // of every slot of ours
  CallBox mailbox_;

  StreamOrder order_;
  env::BlockPool pool_;
  Stager stager_;
  SlotIndexer indexer_;
  Calls staged_;  // copied into stager_
  uint64_t staged_bytes_ = 0;
  uint32_t staged_entries_ = 0;  // with the marks
  bool staged_move_ = false;
  env::Instant staged_since_;
  std::deque<std::shared_ptr<Call>> waiting_;  // behind them, not copied yet
  std::string marks_before_;                   // of the slot before

  uint64_t next_ = 0;                         // of the slot that is staged
  std::deque<std::shared_ptr<Slot>> flying_;  // from the first that is not acknowledged on
  std::atomic<uint64_t> durable_end_ = 0;
  std::optional<env::Duration> put_time_;  // of late, smoothed; none yet

  Position trimmed_;  // slots below are not needed
  Position deleted_;  // and these are gone
  bool deleting_ = false;

  bool scheduled_ = false;  // put_slot() is posted
  bool timed_ = false;      // the window has a timer
  bool closing_ = false;
  std::optional<Error> lost_;
  std::move_only_function<void(Error)> notify_lost_;
  env::Event changed_;
};

}  // namespace paceline::wal
