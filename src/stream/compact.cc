#include <fmt/format.h>

#include <algorithm>

#include "stream/collector.h"
#include "stream/compactor.h"
#include "stream/put_object.h"
#include "stream/uploader.h"

namespace paceline::stream {
namespace {

// Of the objects that a plan reads, so that its items need not fetch them again and again.
constexpr uint64_t kIndexBytes = 8 << 20;
constexpr size_t kWorkersMax = 8;
// Looks again whether the uploads have caught up.
constexpr auto kUploadsFirst = std::chrono::milliseconds(200);

}  // namespace

Compactor::Compactor(Core& core)
    : core_(core),
      indexes_(core.owner(), kIndexBytes, core.counters.block_cache_bytes),
      wake_(core.owner()) {}

bool Compactor::enabled() const {
  return core_.options.compaction_bytes > 0 && core_.options.compaction_fan_in > 1;
}

CompactionLimits Compactor::limits() const {
  return {.object_bytes_max =
              std::min(core_.options.compaction_object_bytes, core_.options.compaction_bytes),
          .fan_in = core_.options.compaction_fan_in};
}

// Each holds one object in memory.
size_t Compactor::worker_count() const {
  return std::clamp<size_t>(core_.options.compaction_bytes / limits().object_bytes_max, 1,
                            kWorkersMax);
}

void Compactor::offer(const std::vector<StreamPart>& checkpoint, const BuiltObject& built) {
  if (!enabled() || stopping_ || !idle()) return;
  auto input = std::make_shared<CompactionInput>();
  input->made_bytes = core_.collector->made_bytes();
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const DirectoryRecord& record = checkpoint[i].record;
    CompactionInput::Stream stream{
        .id = record.stream, .extents = record.extents, .movable = record.offline.empty()};
    if (built.extents[i].end != built.extents[i].base) stream.extents.push_back(built.extents[i]);
    if (!stream.extents.empty()) input->streams.push_back(std::move(stream));
  }
  input_ = std::move(input);
  wake_.notify_all();
}

std::vector<Compacted> Compactor::take_ready(size_t count_max) {
  const size_t count = std::min(count_max, ready_.size());
  const auto end = ready_.begin() + static_cast<ptrdiff_t>(count);
  std::vector<Compacted> taken(std::make_move_iterator(ready_.begin()),
                               std::make_move_iterator(end));
  ready_.erase(ready_.begin(), end);
  taken_ += count;
  return taken;
}

Task<void> Compactor::run(std::shared_ptr<Core> core) {
  Compactor& self = *core->compactor;
  while (!self.stopping_ && !core->lost) {
    if (!self.input_) {
      co_await self.wake_.wait();
      continue;
    }
    self.planning_ = true;
    auto planning = [input = std::exchange(self.input_, nullptr), limits = self.limits()] {
      return plan_compaction(*input, limits);
    };
    std::vector<CompactionItem> items = co_await env::offload(core->owner(), planning);
    self.planning_ = false;
    co_await self.carry_out(std::move(items));
  }
  self.ended_ = true;
  self.wake_.notify_all();
}

Task<void> Compactor::carry_out(std::vector<CompactionItem> items) {
  std::erase_if(items, [&](const CompactionItem& item) {
    return std::ranges::any_of(item.runs, [&](const CompactionRun& run) {
      return std::ranges::any_of(
          run.extents, [&](const Extent& extent) { return damaged_.contains(extent.object); });
    });
  });
  if (items.empty()) co_return;
  uint64_t bytes = 0;
  for (const CompactionItem& item : items) bytes += item.bytes;
  core_.events(Event(Event::Plane::storage, "compaction.planned")
                   .as_routine()
                   .with("objects", items.size())
                   .with("bytes", bytes));
  queue_.assign(std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  const size_t workers = std::min(worker_count(), queue_.size());
  for (size_t i = 0; i < workers; ++i) {
    ++running_;
    core_.owner().spawn(work(core_.shared_from_this()));
  }
  while (running_ > 0) co_await wake_.wait();
  queue_.clear();
}

Task<void> Compactor::work(std::shared_ptr<Core> core) {
  Compactor& self = *core->compactor;
  while (!self.stopping_ && !core->lost && !self.queue_.empty()) {
    co_await self.wait_for_uploads();
    if (self.stopping_ || core->lost || self.queue_.empty()) break;
    const CompactionItem item = std::move(self.queue_.front());
    self.queue_.pop_front();
    auto compacted = co_await self.compact(item);
    if (!compacted) {
      self.give_up(item, compacted.error());
      continue;
    }
    core->counters.compactions += 1;
    core->counters.compacted_bytes += compacted->record.bytes;
    core->events(Event(Event::Plane::storage, "compaction.put")
                     .as_routine()
                     .with("object", compacted->id.to_string())
                     .with("bytes", compacted->record.bytes)
                     .with("runs", compacted->replacements.size()));
#ifdef PACELINE_PLANT_collect_before_checkpoint
    for (const CompactionRun& run : item.runs)
      for (const Extent& extent : run.extents) core->collector->forget(extent.object);
#endif
    self.ready_.push_back(std::move(*compacted));
    core->uploader->wake();
  }
  --self.running_;
  self.wake_.notify_all();
}

// Uploads hold back producers when they are behind; compaction can wait.
Task<void> Compactor::wait_for_uploads() {
  while (!stopping_ && !core_.lost &&
         core_.counters.unuploaded_bytes > 2 * core_.options.upload_bytes)
    co_await wake_.wait_until(core_.owner().now() + kUploadsFirst);
}

Task<Result<void>> Compactor::pause(Backoff& backoff, Error error) {
  core_.counters.compaction_failures += 1;
  log_warn("storage: compaction of lane {} waits: {}", core_.options.lane.to_string(),
           error.to_string());
  co_return co_await pause_until_stopped(core_, wake_, stopping_, backoff);
}

void Compactor::give_up(const CompactionItem& item, const Error& error) {
  // Trimmed or erased, and collected since: there is nothing left to move.
  if (error.code == Code::cancelled || error.code == Code::not_found) return;
  core_.counters.compaction_failures += 1;
  log_error("storage: compaction leaves {} runs where they are: {}", item.runs.size(),
            error.to_string());
  core_.events(Event(Event::Plane::storage, "compaction.failed")
                   .as_routine()
                   .with("reason", error.to_string()));
  for (const CompactionRun& run : item.runs)
    for (const Extent& extent : run.extents) damaged_.insert(extent.object);
}

Task<void> Compactor::stop(env::Instant deadline) {
  if (!core_.damaged.empty()) co_return;
  cease();
  const env::Instant patience = std::max(deadline, core_.owner().now()) + std::chrono::seconds(1);
  bool in_time = true;
  while (!ended_ && in_time) in_time = co_await wake_.wait_until(patience);
}

}  // namespace paceline::stream
