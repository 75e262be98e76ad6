#include "stream/directory.h"

#include <fmt/format.h>

#include "stream/object_format.h"

namespace paceline::stream {
namespace {

constexpr uint32_t kDirectoryMagic = 0x504c4449;  // "PLDI"
constexpr uint8_t kErasedBit = 1;

void put_record(Encoder& out, const DirectoryRecord& record) {
  out.put(record.stream).put(static_cast<uint8_t>(record.erased ? kErasedBit : 0));
  out.put(record.start).put(record.end).put(record.epoch).put(record.snapshot_end);
  out.text(record.snapshot).text(record.offline).varint(record.extents.size());
  for (const Extent& extent : record.extents) put_extent(out, extent);
}

DirectoryRecord get_record(Decoder& in) {
  DirectoryRecord record;
  record.stream = in.stream_id();
  const auto flags = in.get<uint8_t>();
  if (flags > kErasedBit) in.invalidate();
  record.erased = flags & kErasedBit;
  record.start = in.get<Offset>();
  record.end = in.get<Offset>();
  record.epoch = in.get<Epoch>();
  record.snapshot_end = in.get<Offset>();
  record.snapshot = std::string(in.text());
  record.offline = std::string(in.text());
  const size_t count = in.count(kExtentBytes);
  record.extents.reserve(count);
  for (size_t i = 0; i < count; ++i) record.extents.push_back(get_extent(in));
  return record;
}

// The fixed front of a directory and its table of offsets.
struct Front {
  bool checkpoint = false;
  uint32_t count = 0;
  Bytes table;  // count * 4 bytes, offsets into `records`
  Bytes records;
};

std::unexpected<Error> damaged(const ObjectId& id, std::string_view what) {
  return fail(Code::corrupt, fmt::format("object {}: the directory {}", id.to_string(), what));
}

Result<Front> read_front(const ObjectId& id, Bytes bytes) {
  TRY(Section section, check_section("directory", kDirectoryMagic, 1, id, bytes));
  Decoder& in = section.fields;
  Front front;
  const auto kind = in.get<uint8_t>();
  front.count = in.get<uint32_t>();
  front.checkpoint = kind == 1;
  if (!in.ok() || kind > 1 || front.count > in.remaining() / 4) return damaged(id, "has no table");
  front.table = in.raw(size_t{front.count} * 4);
  front.records = in.raw(in.remaining());
  return front;
}

Result<DirectoryRecord> record_at(const ObjectId& id, const Front& front, uint32_t index) {
  const auto from = load_be<uint32_t>(front.table.data() + size_t{index} * 4);
  const size_t to = index + 1 < front.count
                        ? load_be<uint32_t>(front.table.data() + size_t{index + 1} * 4)
                        : front.records.size();
  if (from > to || to > front.records.size()) return damaged(id, "has a wrong table");
  Decoder in(front.records.subspan(from, to - from));
  DirectoryRecord record = get_record(in);
  if (!in.done()) return damaged(id, "has a record that does not fit its place");
  return record;
}

}  // namespace

std::string encode_directory(const ObjectId& id, const Directory& directory) {
  Encoder records;
  std::vector<uint32_t> offsets;
  offsets.reserve(directory.records.size());
  for (const DirectoryRecord& record : directory.records) {
    offsets.push_back(static_cast<uint32_t>(records.size()));
    put_record(records, record);
  }
  CHECK(records.size() < UINT32_MAX);
  Encoder out;
  open_section(out, kDirectoryMagic, id);
  out.put(static_cast<uint8_t>(directory.checkpoint ? 1 : 0))
      .put(static_cast<uint32_t>(offsets.size()));
  for (uint32_t offset : offsets) out.put(offset);
  out.raw(records.bytes());
  close_section(out);
  return out.take();
}

Result<Directory> decode_directory(const ObjectId& id, Bytes bytes) {
  TRY(Front front, read_front(id, bytes));
  Directory directory;
  directory.checkpoint = front.checkpoint;
  directory.records.reserve(front.count);
  for (uint32_t i = 0; i < front.count; ++i) {
    TRY(DirectoryRecord record, record_at(id, front, i));
    if (i > 0 && record.stream <= directory.records.back().stream)
      return damaged(id, "is not in order");
    directory.records.push_back(std::move(record));
  }
  return directory;
}

Result<std::optional<DirectoryRecord>> find_in_directory(const ObjectId& id, Bytes bytes,
                                                         const StreamId& stream) {
  TRY(Front front, read_front(id, bytes));
  uint32_t low = 0;
  uint32_t high = front.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    TRY(DirectoryRecord record, record_at(id, front, middle));
    if (record.stream == stream) return std::optional<DirectoryRecord>(std::move(record));
    if (record.stream < stream) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return std::optional<DirectoryRecord>();
}

}  // namespace paceline::stream
