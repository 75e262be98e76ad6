#include "wal/lane_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "wal/seal.h"

namespace paceline::wal {
namespace {

// More blocks than this are not remembered; 1 GiB of 4 MiB blocks.
constexpr size_t kBlocksMax = 256;

Result<void> write_zeros(const SegmentSet::Fill& fill) {
  constexpr uint64_t kPiece = 256u << 10;
  const Buffer zeros = env::allocate_pages(std::min(fill.bytes, kPiece), true);
  std::vector<Bytes> pieces;
  for (uint64_t left = fill.bytes; left > 0; left -= pieces.back().size())
    pieces.push_back(zeros.bytes().first(std::min(left, kPiece)));
  TRY_VOID(fill.file->write_at(fill.offset, pieces));
  return fill.file->sync();
}

}  // namespace

// Shared with the thread that writes; the owner shard touches it before and after.
struct LaneLog::Commit {
  enum class Outcome { durable, failed, sealed };

  env::Disk* disk = nullptr;
  std::string seal_path;
  SegmentSet::Place place;
  Buffer segment_header;
  std::vector<StagedGroup> groups;
  std::vector<Bytes> pieces;
  Calls calls;
  uint64_t bytes = 0;  // of the groups
  Position end;
  Outcome outcome = Outcome::failed;
  std::string why;
};

LaneLog::LaneLog(env::Shard& owner, LaneFiles files, const FileWalOptions& options)
    : owner_(owner),
      files_(std::move(files)),
      group_bytes_max_(options.group_bytes_max),
      offload_lane_(std::hash<Lane>{}(files_.owner.lane) | 1ull << 63),
      pool_(owner, options.block_bytes, kBlocksMax),
      stager_(round_to_page(options.block_bytes),
              [this](uint64_t bytes) { return pool_.take(bytes); }),
      segments_(std::make_shared<SegmentSet>(owner, files_, options.segment_bytes)),
      changed_(owner) {}

void LaneLog::start() {
  pool_.keep_ready();
  segments_->prepare(0, nullptr);
}

void LaneLog::accept(std::shared_ptr<Call> call) {
  if (lost_) return refuse(std::move(call), *lost_);
  if (closing_)
    return refuse(std::move(call), Error{Code::closed, fmt::format("lane {} is closed",
                                                                   files_.owner.lane.to_string())});
  for (const Entry& entry : call->entries)
    if (entry.payload.size() > kPayloadBytesMax)
      return refuse(std::move(call),
                    Error{Code::invalid_argument,
                          fmt::format("a payload of {} bytes", entry.payload.size())});
  if (Result<void> accepted = order_.accept(call->entries); !accepted)
    return refuse(std::move(call), accepted.error());
  waiting_.push_back(std::move(call));
  stage_waiting();
  schedule();
}

// A call is never divided over two commits: so "nothing was written" stays true of it as a whole.
void LaneLog::stage_waiting() {
  while (!waiting_.empty()) {
    const uint64_t bytes = stager_.bytes() + waiting_.front()->bytes();
    if (!staged_.empty() && bytes > group_bytes_max_) return;
    stage(waiting_.front());
    staged_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void LaneLog::stage(const std::shared_ptr<Call>& call) {
  if (stager_.group_count() == 0 && !marks_before_.empty()) {
    EntryHeader own;
    own.kind = EntryKind::marks;
    stager_.add(own, as_bytes(marks_before_));
  }
  call->written.payloads.reserve(call->entries.size());
  for (Entry& entry : call->entries) {
    call->written.payloads.push_back(
        stager_.add(entry.header, entry.payload.bytes(), entry.payload_crc));
    entry.payload = Slice();  // the caller's memory is free from here on
    marks_.add(entry.header);
  }
  call->last_group = stager_.group_count() - 1;
}

// Posted, so that everything that is ready on this shard goes with the commit.
void LaneLog::schedule() {
  if (scheduled_ || flying_ || staged_.empty()) return;
  scheduled_ = true;
  owner_.post([log = shared_from_this()] {
    log->scheduled_ = false;
    log->start_commit();
  });
}

void LaneLog::start_commit() {
  if (flying_ || staged_.empty() || lost_) return;
  auto place = segments_->take(stager_.bytes(), position_);
  if (place) return write_commit(std::move(*place));
  segments_->prepare(stager_.bytes(), [weak = weak_from_this()](Result<void> prepared) {
    const auto log = weak.lock();
    if (!log) return;
    if (prepared) return log->schedule();
    const Error& error = prepared.error();
    if (error.code == Code::no_space) return log->refuse_all(error);
    log->lose({}, Error{Code::maybe_written, error.message});
  });
}

void LaneLog::write_commit(SegmentSet::Place place) {
  auto commit = std::make_shared<Commit>();
  commit->disk = files_.disk;
  commit->seal_path = files_.seal_path();
  commit->place = std::move(place);
  if (const auto number = commit->place.new_segment) {
    commit->segment_header = env::allocate_pages(kPageBytes, false);
    encode_segment_header({.owner = files_.owner,
                           .number = *number,
                           .first_position = position_,
                           .first_sequence = sequence_},
                          commit->segment_header.writable());
    commit->pieces.push_back(commit->segment_header.bytes());
  }
  commit->groups = stager_.take_groups();
  commit->calls = std::exchange(staged_, {});
  const Position durable_before = position_;
  std::vector<Position> ends;
  for (const StagedGroup& group : commit->groups) {
    const GroupHeader header{.lane = files_.owner.lane,
                             .sequence = sequence_++,
                             .position = position_,
                             .durable_before = durable_before,
                             .entry_count = group.entry_count,
                             .body_bytes = group.body_bytes,
                             .body_crc = group.body_crc};
    encode_group_header(header, group.padded());
    commit->pieces.push_back(group.padded());
    position_ = header.end();
    ends.push_back(position_);
  }
  for (const auto& call : commit->calls) call->written.end = ends[call->last_group];
  marks_before_ = marks_.take(durable_before);
  commit->end = position_;
  commit->bytes = position_ - durable_before;
  flying_ = true;
#ifdef PACELINE_PLANT_ack_at_write
  for (const auto& call : commit->calls) call->result.emplace(std::move(call->written));
  complete(std::exchange(commit->calls, {}));
#endif
  owner_.offload(
      offload_lane_, [commit] { run_commit(*commit); },
      [log = shared_from_this(), commit] { log->finish_commit(*commit); });
  stage_waiting();
}

void LaneLog::run_commit(Commit& commit) {
  const auto failed = [&](const Error& error) {
    commit.outcome = Commit::Outcome::failed;
    commit.why = error.message;
  };
  if (auto wrote = commit.place.file->write_at(commit.place.offset, commit.pieces); !wrote)
    return failed(wrote.error());
#ifndef PACELINE_PLANT_ack_before_fsync
#ifdef PACELINE_PLANT_retry_failed_sync
  if (!commit.place.file->sync())
#endif
    if (auto synced = commit.place.file->sync(); !synced) return failed(synced.error());
#endif
  commit.outcome = Commit::Outcome::durable;
#ifndef PACELINE_PLANT_skip_seal_check
  // After the sync, before the acknowledgement: a sealer that has not seen these bytes has yet to
  // create its file, and will then see them.
  const auto sealed = commit.disk->exists(commit.seal_path);
  if (!sealed) return failed(sealed.error());
  if (*sealed) commit.outcome = Commit::Outcome::sealed;
#endif
}

void LaneLog::finish_commit(Commit& commit) {
  flying_ = false;
  commit.pieces.clear();
  commit.groups.clear();
  const std::string lane = files_.owner.lane.to_string();
  if (lost_) {
    // The zeros before it failed, and the lane ends below it.
    for (const auto& call : commit.calls) call->result.emplace(fail(*lost_));
    complete(std::move(commit.calls));
    changed_.notify_all();
    return;
  }
  switch (commit.outcome) {
    case Commit::Outcome::durable:
      durable_end_.store(commit.end.value, std::memory_order_release);
      for (const auto& call : commit.calls) call->result.emplace(std::move(call->written));
      complete(std::move(commit.calls));
      fill_ahead(commit.bytes);
      schedule();
      break;
    case Commit::Outcome::sealed:
      lose(std::move(commit.calls), Error{Code::sealed, fmt::format("lane {} was sealed", lane)});
      break;
    case Commit::Outcome::failed:
      lose(std::move(commit.calls),
           Error{Code::maybe_written, fmt::format("lane {} is lost: {}", lane, commit.why)});
      break;
  }
  changed_.notify_all();
}

// On the commits' own lane: a commit that follows waits for it, so they never write the same bytes
// in the wrong order.
void LaneLog::fill_ahead(uint64_t commit_bytes) {
  if (filling_) return;
  auto fill = segments_->fill_ahead(commit_bytes);
  if (!fill) return;
  filling_ = true;
  auto outcome = std::make_shared<Result<void>>();
  owner_.offload(
      offload_lane_, [outcome, fill = std::move(*fill)] { *outcome = write_zeros(fill); },
      [log = shared_from_this(), outcome] {
        log->filling_ = false;
        if (!*outcome && !log->lost_)
          log->lose({}, Error{Code::maybe_written, outcome->error().message});
        log->changed_.notify_all();
      });
}

Calls LaneLog::take_pending() {
  Calls pending = std::exchange(staged_, {});
  for (auto& call : waiting_) pending.push_back(std::move(call));
  waiting_.clear();
  stager_.take_groups();
  marks_.clear();
  return pending;
}

void LaneLog::refuse_all(const Error& error) {
  Calls pending = take_pending();
  for (size_t i = pending.size(); i-- > 0;) {
    order_.undo(pending[i]->entries);
    pending[i]->result.emplace(fail(error));
  }
  complete(std::move(pending));
  changed_.notify_all();
}

void LaneLog::lose(Calls flying, Error error) {
  log_warn("{}", error.message);
  lost_ = error;
  if (error.code != Code::sealed) end_here();
  Calls pending = take_pending();
  for (auto& call : pending) flying.push_back(std::move(call));
  for (const auto& call : flying) call->result.emplace(fail(error));
  complete(std::move(flying));
  if (notify_lost_)
    owner_.post([notify = std::exchange(notify_lost_, nullptr), error]() mutable {
      notify(std::move(error));
    });
  changed_.notify_all();
}

// What a failed sync left behind may be readable now and gone later. The durable end is known here
// and nowhere else, so it is written down, if the disk still can; otherwise a sealer decides.
void LaneLog::end_here() {
  ending_ = true;
  owner_.offload(
      offload_lane_,
      [files = files_, end = durable_end(), unique = owner_.random()] {
        if (auto sealed = seal_lane_at(files, end, unique); !sealed)
          log_warn("lane {} could not be ended by its writer: {}", files.owner.lane.to_string(),
                   sealed.error().message);
      },
      [log = shared_from_this()] {
        log->ending_ = false;
        log->changed_.notify_all();
      });
}

void LaneLog::on_lost(std::move_only_function<void(Error)> notify) {
  if (!lost_) {
    notify_lost_ = std::move(notify);
    return;
  }
  owner_.post([moved = std::move(notify), error = *lost_]() mutable { moved(std::move(error)); });
}

Task<Result<void>> LaneLog::trim(std::shared_ptr<LaneLog> log, Position up_to) {
  while (log->trimming_) co_await log->changed_.wait();
  using Trimmed = std::deque<SegmentSet::Trimmed>;
  Trimmed segments = log->segments_->take_trimmed(up_to, log->durable_end());
  if (segments.empty()) co_return Result<void>();
  log->trimming_ = true;
  struct Outcome {
    Trimmed left;
    Result<void> result;
  };
  // The lowest first, each durably: a gap between segments is then never our work.
  auto work = [files = log->files_, segments]() -> Outcome {
    Outcome outcome{.left = segments, .result = {}};
    while (!outcome.left.empty()) {
      const auto [number, spare] = outcome.left.front();
      outcome.result =
          spare ? files.retire_segment(number) : files.disk->remove(files.segment_path(number));
      if (!outcome.result && outcome.result.error().code == Code::not_found) outcome.result = {};
      if (outcome.result) outcome.result = files.disk->sync_dir(files.folder);
      if (!outcome.result) break;
      outcome.left.pop_front();
    }
    return outcome;
  };
  Outcome outcome = co_await env::offload(log->owner_, std::move(work));
  segments.resize(segments.size() - outcome.left.size());
  log->segments_->trimmed(segments, outcome.left);
  log->trimming_ = false;
  log->changed_.notify_all();
  co_return outcome.result;
}

Task<void> LaneLog::close(std::shared_ptr<LaneLog> log) {
  log->closing_ = true;
  while (!log->idle() || log->trimming_) co_await log->changed_.wait();
}

}  // namespace paceline::wal
