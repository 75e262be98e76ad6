#include "wal/slot_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/log.h"

namespace paceline::wal {
namespace {

// More blocks than this are not remembered; 1 GiB of 4 MiB blocks.
constexpr size_t kBlocksMax = 256;
// Of one call: sizes in a slot have 32 bits.
constexpr uint64_t kCallBytesMax = 1ull << 30;
constexpr size_t kDeletedAtOnce = 1000;  // S3's limit

Slice slice_of(const std::string& text) {
  return Slice::copy_of(as_bytes(text));
}

}  // namespace

SlotLog::SlotLog(SlotStore slots)
    : slots_(std::move(slots)),
      owner_(slots_.shard()),
      nonce_{.high = owner_.random(), .low = owner_.random()},
      pool_(owner_, options().block_bytes, kBlocksMax),
      stager_(round_to_page(options().block_bytes),
              [this](uint64_t bytes) { return pool_.take(bytes); }),
      changed_(owner_) {}

void SlotLog::accept(std::shared_ptr<Call> call) {
  if (lost_) return refuse(std::move(call), *lost_);
  if (closing_)
    return refuse(std::move(call), Error{Code::closed, fmt::format("lane {} is closed", lane())});
  if (const uint64_t bytes = call->bytes(); bytes > kCallBytesMax)
    return refuse(std::move(call),
                  Error{Code::invalid_argument, fmt::format("an append of {} bytes", bytes)});
  if (Result<void> accepted = order_.accept(call->entries); !accepted)
    return refuse(std::move(call), accepted.error());
  waiting_.push_back(std::move(call));
  stage_waiting();
  schedule();
}

// A call is never divided over two slots: its fate is one slot's.
void SlotLog::stage_waiting() {
  while (!waiting_.empty()) {
    const uint64_t bytes = staged_bytes_ + waiting_.front()->bytes();
    if (!staged_.empty() && bytes > options().slot_bytes_max) return;
    stage(waiting_.front());
    staged_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void SlotLog::stage(const std::shared_ptr<Call>& call) {
  if (staged_.empty()) {
    staged_since_ = owner_.now();
    if (!marks_before_.empty()) {
      EntryHeader own;
      own.kind = EntryKind::marks;
      stager_.add(own, as_bytes(marks_before_));
      staged_bytes_ += kEntryHeaderBytes + marks_before_.size();
      ++staged_entries_;
    }
  }
  call->written.payloads.reserve(call->entries.size());
  for (Entry& entry : call->entries) add_entry(*call, entry);
}

void SlotLog::add_entry(Call& call, Entry& entry) {
  indexer_.add(entry.header, static_cast<uint32_t>(kSlotHeaderBytes + staged_bytes_));
  staged_bytes_ += kEntryHeaderBytes + entry.payload.size();
  ++staged_entries_;
  staged_move_ |= entry.header.kind >= EntryKind::adopt;
  call.written.payloads.push_back(
      stager_.add(entry.header, entry.payload.bytes(), entry.payload_crc));
  entry.payload = Slice();  // the caller's memory is free from here on
}

// To gather for longer than half a put costs an append more than it saves in requests.
env::Duration SlotLog::window() const {
  return put_time_ ? std::min(options().window, *put_time_ / 2) : options().window;
}

// Whether what is staged leaves now.
bool SlotLog::due() const {
  if (staged_.empty() || flying_.size() >= options().puts_max) return false;
  const bool full = !waiting_.empty() || staged_bytes_ >= options().slot_bytes_max;
  return flying_.empty() || full || closing_ || owner_.now() >= staged_since_ + window();
}

// Posted, so that everything that is ready on this shard goes with the slot.
void SlotLog::schedule() {
  if (!due()) return wait_for_window();
  if (scheduled_) return;
  scheduled_ = true;
  owner_.post([log = shared_from_this()] {
    log->scheduled_ = false;
    if (!log->due()) return log->wait_for_window();
    log->put_slot();
    log->stage_waiting();
    log->schedule();
  });
}

// At most one timer: what leaves earlier makes it find nothing, or too little, to do.
void SlotLog::wait_for_window() {
  if (timed_ || staged_.empty() || flying_.size() >= options().puts_max) return;
  timed_ = true;
  owner_.run_at(staged_since_ + window(), [weak = weak_from_this()] {
    const auto log = weak.lock();
    if (!log) return;
    log->timed_ = false;
    log->schedule();
  });
}

void SlotLog::put_slot() {
  auto slot = std::make_shared<Slot>();
  slot->sequence = next_++;
  slot->since = owner_.now();
  slot->body = close_slot(slot->sequence);
  for (const Slice& piece : slot->body) slot->bytes += piece.size();
  slot->calls = std::exchange(staged_, {});
  for (const auto& call : slot->calls) call->written.end = Position(slot->sequence + 1);
  if (flying_.empty()) slots_.counters().settled = slot->since;
  flying_.push_back(slot);
  ++slots_.counters().un_acked;
  owner_.spawn(settle(shared_from_this(), std::move(slot)));
}

// The slot's bytes, which stand in the blocks but for what frames them.
std::vector<Slice> SlotLog::close_slot(uint64_t sequence) {
  std::vector<Slice> body(1);
  uint32_t crc = 0;
  for (const StagedGroup& group : stager_.take_groups()) {
    body.emplace_back(group.block, group.block.bytes().subspan(group.start + kGroupHeaderBytes,
                                                               group.body_bytes));
    crc = crc32c_combine(crc, group.body_crc, group.body_bytes);
  }
  const std::vector<SlotRow> rows = indexer_.take();
  const std::string index = encode_slot_index(rows);
  const uint32_t index_crc = crc32c(as_bytes(index));
  const SlotHeader header{.version = std::exchange(staged_move_, false) ? kMovingVersion : 1,
                          .kind = SlotKind::data,
                          .owner = slots_.owner(),
                          .sequence = sequence,
                          .nonce = nonce_,
                          .trimmed = trimmed_,
                          .entry_count = std::exchange(staged_entries_, 0),
                          .entries_bytes = static_cast<uint32_t>(std::exchange(staged_bytes_, 0)),
                          .entries_crc = crc,
                          .index_bytes = static_cast<uint32_t>(index.size()),
                          .index_crc = index_crc,
                          .sealer = {}};
  body.front() = slice_of(encode_slot_header(header));
  const SlotTrailer trailer{
      .sequence = sequence, .index_bytes = header.index_bytes, .index_crc = index_crc};
  body.push_back(slice_of(index + encode_slot_trailer(trailer)));
  marks_before_ = encode_marks({.from = Position(sequence), .streams = marks_of(rows)});
  return body;
}

Task<void> SlotLog::settle(std::shared_ptr<SlotLog> log, std::shared_ptr<Slot> slot) {
  SlotPut put{.key = log->slots_.slot_key(slot->sequence),
              .sequence = slot->sequence,
              .nonce = log->nonce_,
              .body = std::move(slot->body)};
  const Settled settled = co_await settle_slot(log->slots_, std::move(put));
  switch (settled.whose) {
    case Settled::Whose::ours:
      slot->ours = true;
      log->slots_.counters().settled = log->owner_.now();
      log->note_put_time(log->owner_.now() - slot->since);
#ifdef PACELINE_PLANT_slot_acked_alone
      for (const auto& call : slot->calls) call->result.emplace(std::move(call->written));
      complete(std::exchange(slot->calls, {}));
#endif
      log->acknowledge();
      break;
    case Settled::Whose::others: {
      const bool sealed = settled.header.kind == SlotKind::seal;
      std::string why =
          sealed ? fmt::format("lane {} was sealed at slot {}", log->lane(), slot->sequence)
                 : fmt::format("{} belongs to another writer", log->slots_.name(slot->sequence));
      log->lose(slot->sequence, Error{Code::sealed, std::move(why)});
      break;
    }
    case Settled::Whose::unknown:
      if (!log->slots_.ended())
        log->lose(slot->sequence,
                  Error{Code::maybe_written,
                        fmt::format("lane {} is lost: {}", log->lane(), settled.error.message)});
      break;
  }
}

void SlotLog::note_put_time(env::Duration took) {
  put_time_ = put_time_ ? *put_time_ + (took - *put_time_) / 8 : took;
}

void SlotLog::acknowledge() {
  Calls durable;
  while (!flying_.empty() && flying_.front()->ours) {
    const std::shared_ptr<Slot> slot = std::move(flying_.front());
    flying_.pop_front();
    durable_end_.store(slot->sequence + 1, std::memory_order_release);
    ObjectWalCounters& counters = slots_.counters();
    ++counters.slots;
    counters.slot_bytes += slot->bytes;
    --counters.un_acked;
    for (auto& call : slot->calls) {
      call->result.emplace(std::move(call->written));
      durable.push_back(std::move(call));
    }
  }
  complete(std::move(durable));
  schedule();
  changed_.notify_all();
}

// Everything from that slot on that is not acknowledged, whether it was put or not.
Calls SlotLog::take_from(uint64_t sequence) {
  Calls taken;
  const auto from =
      std::ranges::find_if(flying_, [&](const auto& slot) { return slot->sequence >= sequence; });
  for (auto at = from; at != flying_.end(); ++at) {
    --slots_.counters().un_acked;
    for (auto& call : std::exchange((*at)->calls, {})) taken.push_back(std::move(call));
  }
  flying_.erase(from, flying_.end());
  for (auto& call : std::exchange(staged_, {})) taken.push_back(std::move(call));
  for (auto& call : std::exchange(waiting_, {})) taken.push_back(std::move(call));
  stager_.take_groups();
  indexer_.take();
  staged_bytes_ = 0;
  staged_entries_ = 0;
  staged_move_ = false;
  return taken;
}

// Slots below go on: they may still be ours, and then they count.
void SlotLog::lose(uint64_t from, Error error) {
  Calls over = take_from(from);
  for (const auto& call : over) call->result.emplace(fail(error));
  complete(std::move(over));
  if (!lost_) {
    log_warn("{}", error.message);
    if (error.code == Code::sealed) ++slots_.counters().fences;
    lost_ = error;
    if (notify_lost_) std::exchange(notify_lost_, nullptr)(std::move(error));
  }
  acknowledge();
}

void SlotLog::on_lost(std::move_only_function<void(Error)> notify) {
  if (!lost_) {
    notify_lost_ = std::move(notify);
    return;
  }
  owner_.post([moved = std::move(notify), error = *lost_]() mutable { moved(std::move(error)); });
}

void SlotLog::forget() {
  notify_lost_ = nullptr;
  slots_.end();
}

Task<Result<void>> SlotLog::trim(std::shared_ptr<SlotLog> log, Position up_to) {
  CHECK(up_to <= log->durable_end());
  log->trimmed_ = std::max(log->trimmed_, up_to);
  if (!log->deleting_ && log->deleted_ < log->trimmed_ && !log->closing_) {
    log->deleting_ = true;
    log->owner_.spawn(delete_trimmed(log));
  }
  co_return Result<void>{};
}

// In the background: nobody waits for space. What is missed at the end goes with the lane.
Task<void> SlotLog::delete_trimmed(std::shared_ptr<SlotLog> log) {
  env::Backoff backoff;
  while (log->deleted_ < log->trimmed_ && !log->closing_ && !log->slots_.ended()) {
    const Position to = std::min(log->trimmed_, log->deleted_ + kDeletedAtOnce);
    std::vector<std::string> keys;
    for (Position at = log->deleted_; at < to; ++at) keys.push_back(log->slots_.slot_key(at.value));
    const auto removed = co_await log->slots_.remove(std::move(keys));
    if (removed.result && *removed.result) {
      log->deleted_ = to;
      backoff = env::Backoff();
    } else if (!co_await log->slots_.pause(backoff)) {
      break;
    }
  }
  log->deleting_ = false;
}

Task<void> SlotLog::close(std::shared_ptr<SlotLog> log) {
  log->closing_ = true;
  log->schedule();
  const env::Instant patience = log->owner_.now() + log->options().close_patience;
  while (!log->idle() && log->owner_.now() < patience) co_await log->changed_.wait_until(patience);
  log->give_up();
}

// The store does not answer: what is on its way may be written or not.
void SlotLog::give_up() {
  slots_.end();
  if (idle()) return;
  notify_lost_ = nullptr;
  Calls unwritten;
  for (auto& call : std::exchange(waiting_, {})) unwritten.push_back(std::move(call));
  for (auto& call : std::exchange(staged_, {})) unwritten.push_back(std::move(call));
  for (const auto& call : unwritten)
    call->result.emplace(fail(Code::closed, fmt::format("lane {} is closed", lane())));
  complete(std::move(unwritten));
  lose(0, Error{Code::maybe_written,
                fmt::format("the store did not answer while lane {} closed", lane())});
}

}  // namespace paceline::wal
