#include "stream/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "stream/passport.h"

namespace paceline::stream {
namespace {

void put_offline(Image& image, StreamImage& stream, std::string why) {
  if (!stream.offline.empty()) return;
  stream.offline = std::move(why);
  stream.newly_offline = true;
  ++image.new_offline_count;
}

// What took it offline is of no meaning any more.
void forget_offline(Image& image, const StreamImage& stream) {
  if (stream.newly_offline) --image.new_offline_count;
}

void forget(Image& image, const StreamId& id) {
  const auto found = image.streams.find(id);
  if (found == image.streams.end()) return;
  forget_offline(image, found->second);
  image.streams.erase(found);
}

bool is_later(Epoch epoch, Offset end, const StreamImage& than) {
  return std::tie(epoch, end) > std::tie(than.epoch, than.end);
}

// What a snapshot does not cover is kept for the owner, trimmed or not.
void drop_below_start(StreamImage& stream) {
  const Offset needed = std::min(stream.start, stream.snapshot_end);
  std::erase_if(stream.extents, [&](const Extent& extent) { return extent.end <= needed; });
}

// Offline or not: nobody needs it any more.
void erase(Image& image, const StreamId& id) {
  forget(image, id);
  image.erased.insert(id);
}

void trim(StreamImage& stream, Offset start) {
  stream.start = std::max(stream.start, std::min(start, stream.end));
  drop_below_start(stream);
}

// Whether what is known up to this place is what another broker's lane has left to us as well:
// telling of it once more, from before the stream went there, does not make it ours alone.
bool is_left_too(const StreamImage& stream, Epoch epoch, Offset end) {
  return (stream.inherited || stream.left_too) && !is_later(epoch, end, stream);
}

// A delta from before the stream went elsewhere, where more was added, or the same made objects.
bool is_covered(const StreamImage& stream, const DirectoryRecord& record) {
  if (std::tie(record.epoch, record.end) < std::tie(stream.epoch, stream.end)) return true;
  return record.extents.empty() ? record.end != stream.uploaded_end
                                : record.end <= stream.uploaded_end;
}

void apply_record(Image& image, DirectoryRecord record, const ObjectId& from, bool checkpoint) {
  if (record.erased) {
    erase(image, record.stream);
    return;
  }
  StreamImage& stream = image.streams[record.stream];
  if (stream.inherited && is_covered(stream, record)) {
    trim(stream, record.start);
    return;
  }
  stream.left_too = is_left_too(stream, record.epoch, record.end);
  stream.inherited = false;
  Offset next = stream.uploaded_end;
  // A checkpoint starts where retention has left it; a delta goes on.
  if (checkpoint) next = record.extents.empty() ? record.end : record.extents.front().base;
  for (const Extent& extent : record.extents) {
    if (extent.base != next || extent.end <= extent.base)
      put_offline(image, stream,
                  fmt::format("the directory of object {} has a gap in stream {} at offset {}",
                              from.to_string(), record.stream.to_string(), next.value));
    next = extent.end;
    stream.extents.push_back(extent);
  }
  if (next != record.end)
    put_offline(
        image, stream,
        fmt::format("the directory of object {} ends stream {} at {}, its extents at {}",
                    from.to_string(), record.stream.to_string(), record.end.value, next.value));
  stream.start = std::max(stream.start, record.start);
  stream.uploaded_end = stream.end = record.end;
  // Of what came from another lane as its tail, this object has the rest as well.
  std::erase_if(stream.tail, [&](const Batch& batch) { return batch.end() <= record.end; });
  stream.epoch = std::max(stream.epoch, record.epoch);
  stream.snapshot = std::move(record.snapshot);
  stream.snapshot_end = record.snapshot_end;
  if (!record.offline.empty()) stream.offline = std::move(record.offline);
  drop_below_start(stream);
}

// It came from another broker, with everything: what we knew is of a former stay, or the same.
void adopt(Image& image, wal::Entry entry, Lane from) {
  const StreamId& id = entry.header.stream;
  StreamImage& stream = image.streams[id];
  auto passport = decode_passport(entry.payload);
  if (!passport || passport->stream != id) {
    put_offline(
        image, stream,
        fmt::format("what stream {} brought to lane {} cannot be read: {}", id.to_string(),
                    from.to_string(), passport ? "it is another one's" : passport.error().message));
    return;
  }
  if (std::tie(stream.epoch, stream.end) > std::make_tuple(passport->epoch, passport->end())) {
    ++image.stale_count;  // it has been elsewhere since, and was left to us
    return;
  }
  const Offset start = stream.start;
  const bool left_too = is_left_too(stream, passport->epoch, passport->end());
  forget_offline(image, stream);
  stream = image_of(std::move(*passport));
  stream.left_too = left_too;
  trim(stream, start);
}

// What came back to us, or is left to us, is not what went.
void release(Image& image, const wal::EntryHeader& header) {
  const auto found = image.streams.find(header.stream);
  if (found == image.streams.end()) return;
  const StreamImage& stream = found->second;
  if (stream.inherited || stream.left_too) return;
  if (std::tie(stream.epoch, stream.end) <= std::tie(header.epoch, header.base))
    forget(image, header.stream);
}

}  // namespace

bool supersedes(const Version& other, const Version& own) {
  if (own.offline) return !other.offline && other.epoch > own.epoch;
  if (other.offline) return other.epoch >= own.epoch;
  return std::tie(other.epoch, other.end) > std::tie(own.epoch, own.end);
}

void apply_inherited(Image& image, const StreamId& id, StreamImage left) {
  if (image.erased.contains(id)) return;
  left.inherited = true;
  left.newly_offline = false;  // of the lane that left it
  const auto found = image.streams.find(id);
  if (found == image.streams.end()) {
    image.streams.emplace(id, std::move(left));
    return;
  }
  StreamImage& own = found->second;
#ifdef PACELINE_PLANT_first_estate_counts
  if (own.inherited) return;
#endif
  const Offset start = std::max(own.start, left.start);
  if (supersedes({left.epoch, left.end, !left.offline.empty()},
                 {own.epoch, own.end, !own.offline.empty()})) {
    forget_offline(image, own);
    own = std::move(left);
  } else if (!is_later(own.epoch, own.end, left)) {
    own.left_too = true;
  }
  if (own.offline.empty()) trim(own, start);
}

void forget_new_offline(Image& image) {
  for (auto& [id, stream] : image.streams) stream.newly_offline = false;
  image.new_offline_count = 0;
}

void apply_directory(Image& image, Directory directory, const ObjectId& from) {
  if (directory.checkpoint) image.streams.clear();
  for (DirectoryRecord& record : directory.records)
    apply_record(image, std::move(record), from, directory.checkpoint);
}

void apply_entry(Image& image, wal::Entry entry, Lane from) {
  const wal::EntryHeader& header = entry.header;
  if (header.kind == wal::EntryKind::trim && header.base == kErased) {
    erase(image, header.stream);
    return;
  }
  if (image.erased.contains(header.stream)) return;
  if (header.kind == wal::EntryKind::adopt) return adopt(image, std::move(entry), from);
  if (header.kind == wal::EntryKind::release) return release(image, header);
  StreamImage& stream = image.streams[header.stream];
  if (!stream.offline.empty()) return;
  if (header.epoch < stream.epoch) {
    ++image.stale_count;
    return;
  }
  if (header.kind == wal::EntryKind::trim) {
    trim(stream, header.base);
    return;
  }
  const Offset end = header.base + static_cast<int64_t>(header.count);
  if (end <= stream.end) {
    ++image.skipped_count;
    return;
  }
  if (header.base != stream.end) {
    put_offline(
        image, stream,
        fmt::format("stream {} ends at {}, but lane {} goes on at {}: what stands between is lost",
                    header.stream.to_string(), stream.end.value, from.to_string(),
                    header.base.value));
    return;
  }
  stream.epoch = header.epoch;
  stream.end = end;
  stream.inherited = stream.left_too = false;
  stream.tail.push_back(Batch{.base = header.base,
                              .count = header.count,
                              .epoch = header.epoch,
                              .append_time_ms = header.append_time_ms,
                              .max_timestamp = header.max_timestamp,
                              .producer_id = header.producer_id,
                              .bytes = std::move(entry.payload)});
}

void apply_damage(Image& image, const wal::Damage& damage) {
  for (const wal::StreamMark& mark : damage.streams) {
    if (mark.start == kErased) {
      erase(image, mark.stream);
      continue;
    }
    if (image.erased.contains(mark.stream) || (!mark.end && !mark.start)) continue;
    StreamImage& stream = image.streams[mark.stream];
    if (!stream.offline.empty() || mark.epoch < stream.epoch) continue;
    if (mark.end && *mark.end > stream.end) {
      put_offline(
          image, stream,
          fmt::format("stream {} ends at {}, and it had come to {}: {}", mark.stream.to_string(),
                      stream.end.value, mark.end->value, damage.why));
      stream.epoch = mark.epoch;  // nothing of a former epoch makes up for it
    } else if (mark.start) {
      trim(stream, *mark.start);
    }
  }
}

void apply_lost_adoption(Image& image, const meta::Adopted& adopted, Lane from) {
  if (image.erased.contains(adopted.stream)) return;
  StreamImage& stream = image.streams[adopted.stream];
  if (std::tie(stream.epoch, stream.end) > std::tie(adopted.epoch, adopted.end)) return;
  put_offline(image, stream,
              fmt::format("stream {} came to lane {} with all up to {}, and that is lost",
                          adopted.stream.to_string(), from.to_string(), adopted.end.value));
  stream.epoch = std::max(stream.epoch, adopted.epoch);
}

}  // namespace paceline::stream
