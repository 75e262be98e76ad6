#include "stream/log_part.h"

#include <fmt/format.h>

#include <cstring>
#include <unordered_set>

#include "base/codec.h"
#include "env/block_pool.h"

namespace paceline::stream {
namespace {

constexpr size_t kEntryBytes = 20 + 1 + 4 + 8 + 4 + 8 + 8 + 8 + 4;
constexpr size_t kGroupBytes = 8 + 1;

void put_entry(Encoder& out, const wal::Entry& entry) {
  const wal::EntryHeader& header = entry.header;
  out.put(header.stream).put(static_cast<uint8_t>(header.kind)).put(header.epoch).put(header.base);
  out.put(header.count).put(header.append_time_ms).put(header.max_timestamp);
  out.put(header.producer_id).put(static_cast<uint32_t>(entry.payload.size()));
}

// With the size of its payload, which stands behind all of them.
std::pair<wal::Entry, uint32_t> get_entry(Decoder& in) {
  wal::Entry entry;
  wal::EntryHeader& header = entry.header;
  header.stream = in.stream_id();
  const auto kind = static_cast<wal::EntryKind>(in.get<uint8_t>());
  switch (kind) {
    case wal::EntryKind::batch:
    case wal::EntryKind::trim:
    case wal::EntryKind::adopt:
    case wal::EntryKind::release:
      break;
    default:
      in.invalidate();
  }
  header.kind = kind;
  header.epoch = in.get<Epoch>();
  header.base = in.get<Offset>();
  header.count = in.get<uint32_t>();
  header.append_time_ms = in.get<int64_t>();
  header.max_timestamp = in.get<int64_t>();
  header.producer_id = in.get<uint64_t>();
  const auto payload_bytes = in.get<uint32_t>();
  return {std::move(entry), payload_bytes};
}

Slice joined(const Encoder& front, const std::vector<const Slice*>& payloads) {
  size_t bytes = front.size();
  for (const Slice* one : payloads) bytes += one->size();
  Buffer buffer = env::allocate_roomy(bytes);
  std::byte* at = buffer.data();
  const auto put = [&](Bytes piece) {
    if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  };
  put(front.bytes());
  for (const Slice* one : payloads) put(one->bytes());
  return Slice(buffer, buffer.bytes().first(bytes));
}

std::unexpected<Error> damaged() {
  return fail(Code::corrupt, "what another broker told of a log is damaged");
}

}  // namespace

Slice encode_not_yet() {
  Encoder front;
  front.put(uint8_t{0});
  return joined(front, {});
}

Slice encode_log_part(const SealedLog& log, const LogQuestion& question) {
  const std::unordered_set<StreamId> wanted(question.streams.begin(), question.streams.end());
  std::vector<const Slice*> payloads;
  Encoder groups;
  uint64_t bytes = 0;
  uint32_t count = 0;
  size_t end = log.groups.size();
#ifdef PACELINE_PLANT_log_told_short
  if (end > 0) --end;
#endif
  size_t next = question.from_group;
  for (; next < end && bytes < kLogPartBytes; ++next) {
    Encoder entries;
    uint32_t entry_count = 0;
    for (const wal::Entry& entry : log.groups[next].entries) {
      if (!wanted.contains(entry.header.stream)) continue;
      put_entry(entries, entry);
      payloads.push_back(&entry.payload);
      bytes += entry.payload.size();
      ++entry_count;
    }
    if (entry_count == 0) continue;
    groups.put(log.groups[next].end).varint(entry_count).raw(entries.bytes());
    ++count;
  }
  Encoder front;
  front.put(uint8_t{1}).put(*log.end).put(static_cast<uint32_t>(next));
  front.put(static_cast<uint8_t>(next >= end)).varint(count).raw(groups.bytes());
  return joined(front, payloads);
}

Result<LogPart> decode_log_part(const Slice& bytes) {
  Decoder in(bytes.bytes());
  LogPart part;
  const auto there = in.get<uint8_t>();
  part.there = there == 1;
  if (there > 1) return damaged();
  if (!part.there) return in.done() ? Result<LogPart>(std::move(part)) : damaged();
  part.end = in.get<Position>();
  part.next = in.get<uint32_t>();
  const auto last = in.get<uint8_t>();
  part.last = last == 1;
  if (last > 1) return damaged();
  std::vector<uint32_t> sizes;
  const size_t count = in.count(kGroupBytes);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    wal::Group group;
    group.end = in.get<Position>();
    const size_t entries = in.count(kEntryBytes);
    for (size_t j = 0; j < entries && in.ok(); ++j) {
      auto [entry, size] = get_entry(in);
      group.entries.push_back(std::move(entry));
      sizes.push_back(size);
    }
    part.groups.push_back(std::move(group));
  }
  size_t place = 0;
  for (wal::Group& group : part.groups)
    for (wal::Entry& entry : group.entries) {
      const Bytes payload = in.raw(in.ok() ? sizes[place++] : 0);
      if (in.ok()) entry.payload = Slice(bytes.buffer(), payload);
    }
  if (!in.done()) return damaged();
  Position before;
  for (const wal::Group& group : part.groups) {
    if (group.entries.empty() || group.end <= before || group.end > part.end) return damaged();
    before = group.end;
  }
  return part;
}

}  // namespace paceline::stream
