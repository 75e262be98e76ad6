#include "wal/marks.h"

#include <algorithm>

#include "base/codec.h"

namespace paceline::wal {
namespace {

// Flags of a row; numbers never change.
constexpr uint8_t kOtherOwner = 1;  // than the row before: 16 bytes follow
constexpr uint8_t kHasEnd = 2;
constexpr uint8_t kHasStart = 4;
constexpr size_t kRowBytesMin = 3;  // flags, index, epoch

void merge(StreamMark& into, const StreamMark& later) {
  into.epoch = std::max(into.epoch, later.epoch);
  if (later.end) into.end = later.end;
  if (later.start) into.start = std::max(into.start.value_or(Offset(0)), *later.start);
}

}  // namespace

std::string encode_marks(const Marks& marks) {
  Encoder out;
  out.put(marks.from);
  out.varint(marks.streams.size());
  Uuid owner;
  for (const StreamMark& mark : marks.streams) {
    const bool other = mark.stream.owner != owner;
    owner = mark.stream.owner;
    const int flags =
        (other ? kOtherOwner : 0) | (mark.end ? kHasEnd : 0) | (mark.start ? kHasStart : 0);
    out.put(static_cast<uint8_t>(flags));
    if (other) out.put(owner);
    out.varint(mark.stream.index);
    out.varint(static_cast<uint32_t>(mark.epoch.value));
    if (mark.end) out.varint(static_cast<uint64_t>(mark.end->value));
    if (mark.start) out.varint(static_cast<uint64_t>(mark.start->value));
  }
  return out.take();
}

std::optional<Marks> decode_marks(Bytes bytes) {
  Decoder in(bytes);
  Marks marks;
  marks.from = in.get<Position>();
  marks.streams.resize(in.count(kRowBytesMin));
  Uuid owner;
  for (StreamMark& mark : marks.streams) {
    const auto flags = in.get<uint8_t>();
    if (flags & kOtherOwner) owner = in.uuid();
    mark.stream = {owner, static_cast<uint32_t>(in.varint())};
    mark.epoch = Epoch(static_cast<int32_t>(in.varint()));
    if (flags & kHasEnd) mark.end = Offset(static_cast<int64_t>(in.varint()));
    if (flags & kHasStart) mark.start = Offset(static_cast<int64_t>(in.varint()));
  }
  if (!in.done()) return std::nullopt;
  return marks;
}

void MarkCollector::add(const EntryHeader& header) {
  StreamMark mark{.stream = header.stream, .epoch = header.epoch, .end = {}, .start = {}};
  if (header.kind == EntryKind::batch) mark.end = header.base + static_cast<int64_t>(header.count);
  if (header.kind == EntryKind::trim) mark.start = header.base;
  // Most often a stream's batches come one after the other.
  if (!streams_.empty() && streams_.back().stream == header.stream)
    merge(streams_.back(), mark);
  else
    streams_.push_back(mark);
}

std::string MarkCollector::take(Position from) {
  std::ranges::stable_sort(streams_, {}, &StreamMark::stream);
  Marks marks{.from = from, .streams = {}};
  for (const StreamMark& mark : streams_) {
    if (!marks.streams.empty() && marks.streams.back().stream == mark.stream)
      merge(marks.streams.back(), mark);
    else
      marks.streams.push_back(mark);
  }
  streams_.clear();
  return encode_marks(marks);
}

}  // namespace paceline::wal
