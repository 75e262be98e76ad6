#include <fmt/format.h>

#include <algorithm>

#include "stream/collector.h"
#include "stream/put_object.h"
#include "stream/retry.h"
#include "stream/uploader.h"

namespace paceline::stream {
namespace {

// Below this a checkpoint costs next to nothing, so objects that nobody needs are told at once.
constexpr uint64_t kSmallCheckpointBytes = 1 << 20;
constexpr int kRareCheckpointAges = 10;
// What former lives have left is uploaded at this part of the age, one second by default: until
// then their logs stay, and with a broker that dies again and again the next life has to read them
// too.
constexpr int kInheritedShare = 20;
// etcd's limit of operations: with the lane and the object there is room for both. What is left of
// the marks is written behind the commit, what is left of compaction with the next checkpoint.
constexpr size_t kMarksAtOnce = 60;
constexpr size_t kCompactedAtOnce = 60;

}  // namespace

Uploader::Uploader(Core& core, const Recovery& recovery)
    : core_(core),
      checkpoint_bytes_(recovery.checkpoint_bytes),
      last_checkpoint_(core.owner().now()),
      inherited_at_(core.owner().now()),
      turn_(core.owner()),
      wake_(core.owner()),
      progress_(core.owner()) {
  for (size_t i = recovery.first; i < recovery.lanes.size(); ++i) {
    const LaneFacts& lane = recovery.lanes[i];
    if (lane.lane == core.options.lane) {
      record_ = lane.record;
      modified_ = lane.modified;
      core.next_object = lane.record.next_object;
    } else if (!lane.marks.empty()) {
      adopted_.push_back(lane.lane);  // a crash may have come before its WAL was removed
    }
    for (const auto& [number, object] : lane.objects)
      core.collector->know({lane.lane, number}, object.batch_bytes);
  }
  inherited_ = !recovery.replayed.empty();
  // Of a lane that took a stream offline, the WAL is the evidence: it stays, without a mark.
  if (recovery.image.new_offline_count > 0) return;
  for (const Lane lane : recovery.replayed) {
    owe_mark(lane, core.options.lane);
    adopted_.push_back(lane);
  }
  share_inherited(recovery, true);
}

// What came under a recovered lane from others. Of an heir before us in our own row we have all,
// and say so in its place; any other heir was itself left to several, and is done with when each of
// them has said so of it.
void Uploader::share_inherited(const Recovery& recovery, bool our_row) {
  for (const auto& [left, heir] : recovery.inherited) {
#ifdef PACELINE_PLANT_share_of_share_is_all
    owe_mark(left, heir);
#endif
    if (our_row && std::ranges::find(recovery.replayed, heir) != recovery.replayed.end())
      owe_mark(left, heir);
    shared_.try_emplace(left);
  }
}

// One lane may come to us in more than one way.
void Uploader::owe_mark(Lane lane, Lane heir) {
  if (std::ranges::find(unmarked_, std::pair(lane, heir)) == unmarked_.end())
    unmarked_.emplace_back(lane, heir);
}

void Uploader::inherit(Lane lane, const Recovery& recovery) {
  inherited_ = true;
  inherited_at_ = core_.owner().now();
  if (recovery.image.new_offline_count == 0) {
    owe_mark(lane, core_.options.lane);
    shared_[lane] = recovery.replayed;
    share_inherited(recovery, false);
  }
  wake_.notify_all();
}

Task<void> Uploader::run(std::shared_ptr<Core> core) {
  Uploader& self = *core->uploader;
#ifdef PACELINE_PLANT_done_before_checkpoint
  co_await self.remove_adopted();
#endif
  while (!self.stopping_ && !core->lost) {
    // Set during the last upload by bytes that it took along, it would hide the next crossing of
    // the bound. From here on a crossing wakes us.
    core->full_ = false;
    const env::Instant due = self.next_due();
    if (due > core->owner().now()) {
      co_await self.wake_.wait_until(due);
      continue;
    }
    const uint64_t covered = self.requested_;
    self.busy_ = true;
    auto uploaded = co_await self.upload();
    self.busy_ = false;
    if (uploaded) {
      self.completed_ = covered;
    } else if (uploaded.error().code != Code::cancelled) {
      core->lose(uploaded.error());
    }
    self.progress_.notify_all();
  }
  self.ended_ = true;
  self.progress_.notify_all();
}

Task<void> Uploader::wait_idle() {
  while (busy_ && !ended_) co_await progress_.wait();
}

void Uploader::wake() {
  starved_ = false;
  if (core_.dirty_.load() && !dirty_since_) dirty_since_ = core_.owner().now();
  wake_.notify_all();
}

bool Uploader::checkpoint_due() const {
  if (record_.checkpoint == 0 || (inherited_ && !unmarked_.empty())) return true;
  if (!record_.adopted.empty()) return true;  // a delta tells what was added, not what came
  return delta_count_ >= core_.options.checkpoint_uploads ||
         delta_bytes_ > checkpoint_bytes_ + kSmallCheckpointBytes;
}

env::Instant Uploader::next_due() const {
  const env::Duration age = std::chrono::milliseconds(core_.options.upload_age_ms);
  const env::Instant now = core_.owner().now();
  const bool full =
      core_.counters.unuploaded_bytes >= core_.options.upload_bytes || core_.slots_due();
  if (requested_ > completed_ || (full && !starved_)) return now;
  env::Instant due = env::Instant::never();
  if (dirty_since_) due = std::min(due, *dirty_since_ + age);
  if (inherited_) due = std::min(due, inherited_at_ + age / kInheritedShare);
  if (!record_.adopted.empty()) due = std::min(due, noted_at_ + age / kInheritedShare);
  if (core_.dropped_extents || core_.compactor->has_ready())
    due = std::min(due, last_checkpoint_ + cleaning_age());
  return due;
}

// How long a checkpoint that only sets objects free has to wait for the one before it.
env::Duration Uploader::cleaning_age() const {
  const env::Duration age = std::chrono::milliseconds(core_.options.upload_age_ms);
  return age * (checkpoint_bytes_ <= kSmallCheckpointBytes ? 1 : kRareCheckpointAges);
}

bool Uploader::cleaning_due() const {
  return (core_.dropped_extents || core_.compactor->has_ready()) &&
         (closing_ || core_.owner().now() >= last_checkpoint_ + cleaning_age());
}

Task<Result<void>> Uploader::upload() {
  Cut cut = co_await this->cut();
  starved_ = cut.parts.empty() && !cut.checkpoint;
  if (starved_) co_return Result<void>{};
  auto parts = std::make_shared<const std::vector<StreamPart>>(std::move(cut.parts));
#ifdef PACELINE_PLANT_trim_too_early
  auto early = co_await core_.writer->trim(core_.owner(), core_.writer->durable_end());
  (void)early;
#endif
  CO_TRY(BuiltObject object, co_await put(parts, cut.checkpoint));
  auto built = std::make_shared<const BuiltObject>(std::move(object));
  CO_TRY_VOID(co_await commit(cut, *built));
  co_return co_await note(cut, parts, built);
}

Task<Uploader::Cut> Uploader::cut() {
  Cut cut;
  core_.dirty_ = false;
  core_.full_ = false;
  dirty_since_.reset();
  cut.position = core_.covered_end();
#ifdef PACELINE_PLANT_checkpoint_decided_early
  const bool decided = checkpoint_due() || cleaning_due();
#endif
  core_.cut_position = core_.writer->durable_end().value;
  // All that is below the position has to be in the streams before they are asked.
  for (auto& part : core_.parts) {
    auto flushing = [&part] { return part->flush(); };
    co_await env::call_on(part->shard, core_.owner(), flushing);
  }
  const Lock::Held held = co_await core_.structure.acquire();
  // Of one moment: what was adopted and is taken along needs a checkpoint.
  const Part::StreamSet left_out = core_.undecided();
  cut.checkpoint = checkpoint_due() || cleaning_due();
#ifdef PACELINE_PLANT_checkpoint_decided_early
  cut.checkpoint = decided;
#endif
  inherited_ = false;
  if (cut.checkpoint) {
    core_.dropped_extents = false;
    cut.marks = unmarked_;
    co_await take_compacted(cut);
  }
  core_.dropped.clear();
  for (auto& part : core_.parts) {
    auto cutting = [&part, checkpoint = cut.checkpoint, left_out] {
      return part->cut(checkpoint, left_out);
    };
    auto parts = co_await env::call_on(part->shard, core_.owner(), cutting);
    for (StreamPart& one : parts) cut.parts.push_back(std::move(one));
  }
  cut.erased = std::exchange(core_.erased, {});
  for (const StreamId& id : cut.erased) {
    if (cut.checkpoint) break;  // what is not in it is forgotten
    StreamPart gone;
    gone.record.stream = id;
    gone.record.erased = true;
    cut.parts.push_back(std::move(gone));
  }
  std::ranges::sort(cut.parts, {}, [](const StreamPart& part) { return part.record.stream; });
  const auto twice =
      std::ranges::unique(cut.parts, {}, [](const StreamPart& part) { return part.record.stream; });
  cut.parts.erase(twice.begin(), twice.end());
  for (const StreamPart& part : cut.parts)
    for (const Batch& batch : part.batches) cut.batch_bytes += batch.bytes.size();
  co_return cut;
}

// What compaction has put takes the place of what it was made from, before the streams are asked.
Task<void> Uploader::take_compacted(Cut& cut) {
  auto all = std::make_shared<std::vector<Replacement>>();
  std::vector<size_t> objects;  // of each replacement
  std::vector<Compacted> ready = core_.compactor->take_ready(kCompactedAtOnce);
  if (ready.empty()) co_return;
  for (size_t i = 0; i < ready.size(); ++i)
    for (Replacement& replacement : std::exchange(ready[i].replacements, {})) {
      all->push_back(std::move(replacement));
      objects.push_back(i);
    }
  std::vector<bool> used(ready.size(), false);
  for (auto& part : core_.parts) {
    auto replacing = [&part, all] { return part->replace(all); };
    const auto taken = co_await env::call_on(part->shard, core_.owner(), replacing);
    for (size_t i : taken) used[objects[i]] = true;
  }
  for (size_t i = 0; i < ready.size(); ++i) {
    if (used[i]) {
      cut.compacted.push_back(std::move(ready[i]));
    } else {
      core_.collector->forget(ready[i].id);  // all of it was trimmed or erased meanwhile
    }
  }
}

// Waits before another attempt; an error when there is to be none.
Task<Result<void>> Uploader::pause(Backoff& backoff, Error error) {
  core_.counters.upload_failures += 1;
  log_warn("storage: an upload of lane {} waits: {}", core_.options.lane.to_string(),
           error.to_string());
  co_return co_await pause_until_stopped(core_, wake_, stopping_, backoff);
}

Task<Result<BuiltObject>> Uploader::put(std::shared_ptr<const std::vector<StreamPart>> parts,
                                        bool checkpoint) {
  ObjectPlan plan;
  plan.checkpoint = checkpoint;
  auto pausing = [this](Backoff& backoff, Error error) { return pause(backoff, std::move(error)); };
  co_return co_await put_object(core_, core_.objects.upload, plan, std::move(parts), pausing);
}

Task<Result<void>> Uploader::commit(const Cut& cut, const BuiltObject& built) {
  const Lock::Held turn = co_await turn_.acquire();
  const ObjectId id = built.header.id;
  meta::LaneRecord next = record_;
  next.uploaded = std::max(record_.uploaded, cut.position);
#ifdef PACELINE_PLANT_trim_too_early
  next.uploaded = core_.writer->durable_end();
#endif
  next.next_object = core_.next_object;
  if (cut.checkpoint) next.checkpoint = id.number;
  if (cut.checkpoint)
    std::erase_if(next.adopted, [&](const meta::Adopted& one) { return one.at <= next.uploaded; });
  const meta::ObjectRecord object = record_of(built, cut.checkpoint, core_.owner().wall_ms());
  const std::string key = meta::lane_key(core_.options.lane);
  const std::string value = meta::encode(next);
  meta::Transaction transaction;
  transaction.if_modified_at(key, modified_).put(key, value);
  transaction.put(meta::object_key(id.lane, id.number), meta::encode(object));
#ifndef PACELINE_PLANT_compacted_without_record
  for (const Compacted& one : cut.compacted)
    transaction.put(meta::object_key(one.id.lane, one.id.number), meta::encode(one.record));
#endif
  const size_t marks = std::min(cut.marks.size(), kMarksAtOnce);
  const std::string mark = meta::encode(meta::DoneRecord{.at_ms = core_.owner().wall_ms()});
  for (size_t i = 0; i < marks; ++i)
    transaction.put(meta::done_key(cut.marks[i].first, cut.marks[i].second), mark);
  Backoff backoff;
  for (;;) {
    auto done = co_await core_.meta.commit(core_.owner(), transaction);
    if (done) {
      modified_ = *done;
      break;
    }
    if (done.error().code == Code::invalid_argument) co_return fail(done.error());
    // A lost answer looks like a conflict at the next attempt: what is there tells.
    auto there = co_await core_.meta.get(core_.owner(), key);
    if (there && *there && (*there)->value == value) {
      modified_ = (*there)->modified;
      break;
    }
    if (there && (!*there || (*there)->modified != modified_))
      co_return fail(Code::fenced, fmt::format("lane {} was changed by somebody else",
                                               core_.options.lane.to_string()));
    CO_TRY_VOID(co_await pause(backoff, done.error()));
  }
  record_ = next;
  covered_.insert(covered_.end(), cut.marks.begin() + static_cast<ptrdiff_t>(marks),
                  cut.marks.end());
  std::erase_if(unmarked_, [&](const auto& one) {
    return std::ranges::find(cut.marks, one) != cut.marks.end();
  });
  co_return Result<void>{};
}

Task<Result<void>> Uploader::commit_adoption(env::Shard& home,
                                             const std::vector<meta::Adopted>& adopted,
                                             Storage::CommitAdoption commit) {
  if (stopping_ || ended_) co_return fail(Code::cancelled, "the storage ends");
  meta::LaneRecord next = record_;
  next.adopted.insert(next.adopted.end(), adopted.begin(), adopted.end());
  next.adopted_count += adopted.size();
  struct Asked {
    Storage::CommitAdoption commit;
    meta::Transaction transaction;
  };
  auto asked = std::make_shared<Asked>(Asked{std::move(commit), {}});
  const std::string key = meta::lane_key(core_.options.lane);
  asked->transaction.if_modified_at(key, modified_).put(key, meta::encode(next));
  auto asking = [asked] { return asked->commit(std::move(asked->transaction)); };
  auto told = co_await env::call_on(home, core_.owner(), asking);
  auto settled = co_await settle_adoption(next, std::move(told));
  if (!settled && settled.error().code == Code::fenced) core_.lose(settled.error());
  CO_TRY_VOID(std::move(settled));
  record_ = std::move(next);
  noted_at_ = core_.owner().now();
  wake_.notify_all();
  co_return Result<void>{};
}

// Our record is there, or it never will be: whoever was told nothing, or something else than what
// is there, changes its revision, which a transaction that is still on its way compares.
Task<Result<void>> Uploader::settle_adoption(const meta::LaneRecord& next, Result<Revision> told) {
  const std::string key = meta::lane_key(core_.options.lane);
  const std::string before = meta::encode(record_);
  const std::string after = meta::encode(next);
  const bool refused =
      !told && (told.error().code == Code::conflict || told.error().code == Code::invalid_argument);
  Backoff backoff;
  for (;;) {
    auto there = co_await core_.meta.get(core_.owner(), key);
    if (there && !*there)
      co_return fail(Code::fenced, fmt::format("lane {} is gone", core_.options.lane.to_string()));
    if (there) {
      const meta::Entry& entry = **there;
      if (entry.value == after) {
        modified_ = entry.modified;
        co_return Result<void>{};
      }
      if (entry.value != before)
        co_return fail(Code::fenced, fmt::format("lane {} was changed by somebody else",
                                                 core_.options.lane.to_string()));
      if (refused || entry.modified != modified_) {
        modified_ = entry.modified;
        co_return fail(refused ? told.error()
                               : Error{Code::conflict, "the move was not committed"});
      }
      meta::Transaction bump;
      bump.if_modified_at(key, modified_).put(key, before);
      auto bumped = co_await core_.meta.commit(core_.owner(), std::move(bump));
      if (bumped) continue;
    }
    CO_TRY_VOID(co_await pause_until_stopped(core_, wake_, stopping_, backoff));
  }
}

// What the commit means for those who read, and for the space that may be used again.
Task<Result<void>> Uploader::note(const Cut& cut,
                                  std::shared_ptr<const std::vector<StreamPart>> parts,
                                  std::shared_ptr<const BuiltObject> built) {
  {
    const Lock::Held held = co_await core_.structure.acquire();
    // Of a stream that went since the cut, its burial has subtracted the bytes already.
    auto left = std::make_shared<std::set<StreamId>>(core_.dropped);
    left->insert(core_.erased.begin(), core_.erased.end());
    for (auto& part : core_.parts) {
      auto noting = [&part, parts, built, left] { return part->note_uploaded(parts, built, left); };
      co_await env::call_on(part->shard, core_.owner(), noting);
    }
    uint64_t gone = 0;
    for (const StreamPart& part : *parts)
      if (left->contains(part.record.stream))
        for (const Batch& batch : part.batches) gone += batch.bytes.size();
    core_.counters.unuploaded_bytes -= cut.batch_bytes - gone;
  }
  const ObjectId id = built->header.id;
  core_.counters.uploads += 1;
  core_.counters.uploaded_bytes += built->header.object_bytes;
  uint64_t batch_bytes = 0;
  for (const Extent& extent : built->extents) batch_bytes += extent.bytes;
  core_.collector->know(id, batch_bytes);
  noted_at_ = core_.owner().now();
  tell_uploaded(cut, parts->size(), *built);
  auto trimmed = co_await core_.writer->trim(core_.owner(), record_.uploaded);
  if (!trimmed)
    log_warn("storage: the WAL keeps what it could let go: {}", trimmed.error().to_string());
  if (!cut.checkpoint) {
    ++delta_count_;
    delta_bytes_ += built->header.directory_bytes;
    co_return Result<void>{};
  }
  delta_count_ = 0;
  delta_bytes_ = 0;
  checkpoint_bytes_ = built->header.directory_bytes;
  last_checkpoint_ = core_.owner().now();
  for (const Compacted& one : cut.compacted) core_.collector->know(one.id, one.record.batch_bytes);
  core_.collector->retain(*parts, id);
  core_.compactor->committed();
  core_.compactor->offer(*parts, *built);
  co_await remove_adopted();
  co_return Result<void>{};
}

// Our share of what other lanes have left is in our own objects with this one.
void Uploader::tell_uploaded(const Cut& cut, size_t streams, const BuiltObject& built) const {
  const std::string object = built.header.id.to_string();
  core_.events(Event(Event::Plane::storage, "upload.committed")
                   .as_routine()
                   .with("object", object)
                   .with("bytes", built.header.object_bytes)
                   .with("streams", streams)
                   .with("checkpoint", cut.checkpoint)
                   .with("uploaded_position", record_.uploaded.value));
  for (const auto& [left, heir] : cut.marks)
    core_.events(Event(Event::Plane::storage, "lane.uploaded")
                     .caused_by(left.to_string())
                     .about(left)
                     .took(core_.owner().now() - inherited_at_)
                     .with("heir", heir.to_string())
                     .with("object", object)
                     .with("bytes", built.header.object_bytes)
                     .with("requests", 1));
}

void Uploader::tell_collected(Lane lane, size_t logs) const {
  core_.events(Event(Event::Plane::storage, "lane.collected")
                   .caused_by(lane.to_string())
                   .about(lane)
                   .with("logs", logs));
}

// Our first checkpoint covers all lanes before ours: their WALs may go.
Task<void> Uploader::remove_adopted() {
  const std::string mark = meta::encode(meta::DoneRecord{.at_ms = core_.owner().wall_ms()});
  while (!covered_.empty()) {
    meta::Transaction transaction;
    transaction.put(meta::done_key(covered_.back().first, covered_.back().second), mark);
    auto done = co_await core_.meta.commit(core_.owner(), transaction);
    if (!done) co_return;  // the next checkpoint tries again
    covered_.pop_back();
  }
  for (Lane lane : std::exchange(adopted_, {})) {
    auto removed = co_await core_.wal.remove(core_.owner(), lane);
    if (removed) tell_collected(lane, 1);
    if (removed) continue;
    log_warn("storage: the WAL of lane {} stays: {}", lane.to_string(),
             removed.error().to_string());
    adopted_.push_back(lane);
  }
  co_await remove_shared();
}

// Whether nobody needs the lane's WAL any more: each of its successors has its share in objects, or
// has been sealed since and left it to others who have.
Task<Result<bool>> Uploader::all_marked(Lane left) {
#ifdef PACELINE_PLANT_one_share_is_all
  co_return true;
#endif
  CO_TRY(const auto entry, co_await core_.meta.get(core_.owner(), meta::lane_key(left)));
  if (!entry) co_return false;
  CO_TRY(const auto record, meta::decode<meta::LaneRecord>(entry->value));
  if (!record.sealed) co_return false;
  for (const meta::Successor& successor : record.successors) {
    CO_TRY(const auto mark,
           co_await core_.meta.get(core_.owner(), meta::done_key(left, successor.lane)));
    if (mark) continue;
    CO_TRY(const bool passed_on, co_await all_marked(successor.lane));
    if (!passed_on) co_return false;
  }
  co_return true;
}

// Whoever is the last to have its share in objects removes the WAL. What is not removed now is
// looked at again behind the next checkpoint.
Task<void> Uploader::remove_shared() {
  for (auto at = shared_.begin(); at != shared_.end();) {
    const bool ours_is_written =
        std::ranges::none_of(unmarked_, [&](const auto& one) { return one.first == at->first; });
    const auto all = ours_is_written ? co_await all_marked(at->first) : Result<bool>(false);
    if (!all || !*all) {
      ++at;
      continue;
    }
    std::vector<Lane> lanes = at->second;
    lanes.push_back(at->first);
    bool gone = true;
    for (const Lane lane : lanes) {
      auto removed = co_await core_.wal.remove(core_.owner(), lane);
      gone = gone && removed.has_value();
    }
    if (gone) tell_collected(at->first, lanes.size());
    at = gone ? shared_.erase(at) : std::next(at);
  }
}

Task<Result<void>> Uploader::upload_now() {
  const uint64_t wanted = ++requested_;
  wake_.notify_all();
  while (completed_ < wanted && !ended_) co_await progress_.wait();
  if (completed_ >= wanted) co_return Result<void>{};
  co_return fail(core_.lost ? Code::fenced : Code::cancelled,
                 "the storage ended before the upload");
}

Task<void> Uploader::stop(env::Instant deadline) {
  closing_ = true;
  const uint64_t wanted = ++requested_;
  wake_.notify_all();
  bool in_time = true;
  while (completed_ < wanted && !ended_ && in_time)
    in_time = co_await progress_.wait_until(deadline);
  stopping_ = true;
  wake_.notify_all();
  // A call into a store that never answers keeps the loop: it holds what it needs by itself.
  const env::Instant patience = std::max(deadline, core_.owner().now()) + std::chrono::seconds(1);
  in_time = true;
  while (!ended_ && in_time) in_time = co_await progress_.wait_until(patience);
}

}  // namespace paceline::stream
