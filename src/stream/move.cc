#include <fmt/format.h>

#include <algorithm>

#include "stream/core.h"
#include "stream/uploader.h"

// Planned moves. A stream goes with its passport: the source freezes what that names, the target
// writes it into its log and opens the stream from it. Until the move is committed the adoption is
// undecided: no directory tells of it, and no upload takes its entry out of the log. The lane's
// record says which adoptions in the log count, so that those of moves that were given up mean
// nothing to whoever recovers the lane.

namespace paceline::stream {
namespace {

// Of one append; the next goes when it is durable.
constexpr uint64_t kLoggedAtOnce = 8ull << 20;
// In the lane's record: an upload takes them out of it.
constexpr size_t kAdoptedMax = 1000;

}  // namespace

Task<Result<Slice>> Core::passport(env::Shard& home, StreamId id) {
  Part& part = part_of(home);
  for (;;) {
    StoredStream* stream = part.find(id);
    if (!stream || !stream->is_idle())
      co_return fail(Code::conflict,
                     fmt::format("stream {} is not open here, or at work", id.to_string()));
    if (lost) co_return fail(Code::sealed, "the lane is lost");
    // What no committed record knows might never have one: then its body is an orphan.
    if (!stream->awaits_checkpoint()) co_return encode_passport(stream->passport());
    auto waiting = [this] { return uploader->wait_idle(); };
    co_await env::call_on(owner(), home, waiting);
  }
}

Result<void> Core::may_adopt(const StreamId& id) {
  const bool undecided = std::ranges::any_of(undecided_, [&](const auto& one) {
    return std::ranges::find(one.second, id, &meta::Adopted::stream) != one.second.end();
  });
  const bool ours = parts.front()->find(id) && (!options.leads || options.leads(id));
  if (!undecided && !ours && !open_in.contains(id)) return {};
  return fail(Code::in_use, fmt::format("stream {} is here already", id.to_string()));
}

Task<Result<wal::Written>> Core::log_adoptions(const std::vector<Storage::Adoption>& adoptions,
                                               size_t first, size_t last) {
  std::vector<wal::Entry> entries;
  for (size_t i = first; i < last; ++i) {
    CO_TRY(const Passport passport, decode_passport(adoptions[i].passport));
    entries.push_back({{.stream = adoptions[i].id,
                        .kind = wal::EntryKind::adopt,
                        .epoch = passport.epoch,
                        .base = passport.end()},
                       adoptions[i].passport});
  }
  co_return co_await writer->append(owner(), std::move(entries));
}

Task<Result<Position>> Core::adopt(std::vector<Storage::Adoption> adoptions) {
  // One call at a time: then what it logs lies between two places that nothing else of the kind
  // lies between.
  const Lock::Held turn = co_await adopting_turn_.acquire();
  if (!damaged.empty()) co_return fail(Code::corrupt, damaged);
  if (lost) co_return fail(Code::sealed, "the lane is lost");
  std::set<StreamId> named;
  std::vector<meta::Adopted> adopted;
  for (const Storage::Adoption& one : adoptions) {
    CO_TRY(const Passport passport, decode_passport(one.passport));
    if (passport.stream != one.id || !named.insert(one.id).second)
      co_return fail(Code::corrupt,
                     fmt::format("a passport is not that of stream {}", one.id.to_string()));
    CO_TRY_VOID(may_adopt(one.id));
    adopted.push_back(
        {.stream = one.id, .after = {}, .at = {}, .epoch = passport.epoch, .end = passport.end()});
  }
  if (adopted.empty()) co_return fail(Code::invalid_argument, "nothing to adopt");
  // As it was before it went elsewhere, and nobody said so yet.
  for (const StreamId& id : named)
    if (parts.front()->find(id)) co_await release(id);

  std::vector<Slice> placed;
  for (size_t first = 0; first < adoptions.size();) {
    size_t last = first;
    for (uint64_t bytes = 0; last < adoptions.size(); ++last) {
      bytes += adoptions[last].passport.size();
      if (last > first && bytes > kLoggedAtOnce) break;
    }
    const Position after = writer->durable_end();
    if (!adopting_) adopting_ = after;
    auto written = co_await log_adoptions(adoptions, first, last);
    if (!written) {
      adopting_.reset();
      co_return fail(written.error());
    }
    for (; first < last; ++first) {
      adopted[first].after = after;
      adopted[first].at = written->end;
      placed.push_back(std::move(written->payloads[first - (last - written->payloads.size())]));
    }
  }
  const Lock::Held held = co_await structure.acquire();
  adopting_.reset();
  for (const StreamId& id : named) CO_TRY_VOID(may_adopt(id));
  for (size_t i = 0; i < placed.size(); ++i) {
    auto passport = decode_passport(placed[i]);
    CHECK(passport.has_value());
    park_one(adopted[i].stream, image_of(std::move(*passport)));
  }
  const Position at = adopted.back().at;
  events(Event(Event::Plane::storage, "stream.adopted")
             .as_routine()
             .with("streams", adopted.size())
             .with("position", at.value));
  undecided_.emplace(at, std::move(adopted));
  co_return at;
}

Position Core::covered_end() const {
  Position end = writer->durable_end();
#ifdef PACELINE_PLANT_undecided_trimmed
  return end;
#endif
  if (adopting_) end = std::min(end, *adopting_);
  for (const auto& [position, adopted] : undecided_)
    for (const meta::Adopted& one : adopted) end = std::min(end, one.after);
  return end;
}

Part::StreamSet Core::undecided() const {
  auto all = std::make_shared<std::set<StreamId>>();
  for (const auto& [position, adopted] : undecided_)
    for (const meta::Adopted& one : adopted) all->insert(one.stream);
  return all;
}

Task<Result<void>> Core::commit_adoption(env::Shard& home, Position adopted,
                                         Storage::CommitAdoption commit) {
  while (uploader->adopted_count() > kAdoptedMax) CO_TRY_VOID(co_await uploader->upload_now());
  const Lock::Held turn = co_await uploader->take_turn();
  const auto found = undecided_.find(adopted);
  if (found == undecided_.end())
    co_return fail(Code::conflict, "what was adopted has been forgotten");
  CO_TRY_VOID(co_await uploader->commit_adoption(home, found->second, std::move(commit)));
  undecided_.erase(adopted);
  co_return Result<void>{};
}

bool Core::forget_undecided(const StreamId& id) {
  size_t gone = 0;
  for (auto at = undecided_.begin(); at != undecided_.end();) {
    gone += std::erase_if(at->second, [&](const meta::Adopted& one) { return one.stream == id; });
    at = at->second.empty() ? undecided_.erase(at) : std::next(at);
  }
  return gone > 0;
}

Task<void> Core::forget_adopted(std::shared_ptr<Core> core, StreamId id) {
  // Behind a commit of it that is on its way.
  const Lock::Held turn = co_await core->uploader->take_turn();
  const Lock::Held held = co_await core->structure.acquire();
  if (!core->forget_undecided(id)) co_return;
  if (core->open_in.contains(id)) {
    core->unwanted_.insert(id);
  } else {
    core->drop(id);
  }
}

// Told to the log, so that what stands before is not looked at in vain by whoever reads it without
// a directory that has the stream. Who leads it is said by metadata.
Task<void> Core::log_release(StreamId id) {
  StoredStream* stream = parts.front()->find(id);
  if (!stream || lost) co_return;
  const Version version = stream->version();
  std::vector<wal::Entry> entries;
  entries.push_back(
      {{.stream = id, .kind = wal::EntryKind::release, .epoch = version.epoch, .base = version.end},
       Slice()});
  auto written = co_await writer->append(owner(), std::move(entries));
  if (!written)
    log_warn("storage: the log does not tell that stream {} has left: {}", id.to_string(),
             written.error().to_string());
}

Task<void> Core::release(StreamId id) {
  // Inside until it is gone: a cut at or above the entry's position is then without it.
  const env::Gate::Pass inside = parts.front()->enter();
  co_await log_release(id);
  const Lock::Held held = co_await structure.acquire();
  if (open_in.contains(id)) {
    unwanted_.insert(id);
  } else {
    drop(id);
  }
}

// REQUIRES: the structure is held; not open.
void Core::drop(const StreamId& id) {
  if (!parts.front()->find(id)) return;
  counters.unuploaded_bytes -= parts.front()->drop(id);
  dropped.insert(id);
  dropped_extents = true;
  note_unuploaded(0);
}

}  // namespace paceline::stream
