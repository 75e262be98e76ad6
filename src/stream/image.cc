#include "stream/image.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::stream {
namespace {

void put_offline(Image& image, StreamImage& stream, std::string why) {
  if (!stream.offline.empty()) return;
  stream.offline = std::move(why);
  ++image.new_offline_count;
}

// What a snapshot does not cover is kept for the owner, trimmed or not.
void drop_below_start(StreamImage& stream) {
  const Offset needed = std::min(stream.start, stream.snapshot_end);
  std::erase_if(stream.extents, [&](const Extent& extent) { return extent.end <= needed; });
}

void apply_record(Image& image, DirectoryRecord record, const ObjectId& from) {
  if (record.erased) {
    image.streams.erase(record.stream);
    image.erased.insert(record.stream);
    return;
  }
  StreamImage& stream = image.streams[record.stream];
  stream.inherited = false;
  Offset next = stream.uploaded_end;
  for (const Extent& extent : record.extents) {
    // The first extent of a checkpoint starts where retention has left it.
    const bool first = stream.extents.empty() && next == Offset{};
    if ((!first && extent.base != next) || extent.end <= extent.base)
      put_offline(image, stream,
                  fmt::format("the directory of object {} has a gap in stream {} at offset {}",
                              from.to_string(), record.stream.to_string(), next.value));
    next = extent.end;
    stream.extents.push_back(extent);
  }
  if (!record.extents.empty() && next != record.end)
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

// Offline or not: nobody needs it any more.
void erase(Image& image, const StreamId& id) {
  image.streams.erase(id);
  image.erased.insert(id);
}

void trim(StreamImage& stream, Offset start) {
  stream.start = std::max(stream.start, std::min(start, stream.end));
  drop_below_start(stream);
}

}  // namespace

void apply_directory(Image& image, Directory directory, const ObjectId& from) {
  if (directory.checkpoint) image.streams.clear();
  for (DirectoryRecord& record : directory.records) apply_record(image, std::move(record), from);
}

void apply_entry(Image& image, wal::Entry entry, Lane from) {
  const wal::EntryHeader& header = entry.header;
  if (header.kind == wal::EntryKind::trim && header.base == kErased) {
    erase(image, header.stream);
    return;
  }
  if (image.erased.contains(header.stream)) return;
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
  stream.inherited = false;
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
    if (image.erased.contains(mark.stream)) continue;
    StreamImage& stream = image.streams[mark.stream];
    if (!stream.offline.empty() || mark.epoch < stream.epoch) continue;
    if (mark.end && *mark.end > stream.end)
      put_offline(
          image, stream,
          fmt::format("stream {} ends at {}, and it had come to {}: {}", mark.stream.to_string(),
                      stream.end.value, mark.end->value, damage.why));
    else if (mark.start)
      trim(stream, *mark.start);
  }
}

}  // namespace paceline::stream
