#include "wal/format.h"

#include <algorithm>

#include "base/codec.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace paceline::wal {
namespace {

constexpr uint32_t kSegmentMagic = 0x504c5753;  // "PLWS"
constexpr uint32_t kGroupMagic = 0x504c5747;    // "PLWG"
constexpr uint32_t kEndMagic = 0x504c5745;      // "PLWE"
// Each header starts with its magic and the checksum of all that follows in it.
constexpr size_t kChecked = 8;

// Writes fields one after the other into memory of a known size.
class Fields {
 public:
  explicit Fields(std::byte* at) : at_(at) {}
  template <std::integral T>
  Fields& put(T value) {
    store_be(at_, value);
    at_ += sizeof(T);
    return *this;
  }
  template <class Tag, class Rep>
  Fields& put(Strong<Tag, Rep> id) {
    return put(id.value);
  }
  Fields& put(const Uuid& id) {
    std::memcpy(at_, id.bytes.data(), id.bytes.size());
    at_ += id.bytes.size();
    return *this;
  }
  Fields& put(const Lane& lane) { return put(lane.broker).put(lane.incarnation); }

 private:
  std::byte* at_;
};

void finish(uint32_t magic, MutableBytes header) {
  store_be(header.data(), magic);
  store_be(header.data() + 4, crc32c(header.subspan(kChecked)));
}

// A decoder of what follows the checksum; nothing if that or the magic does not hold.
std::optional<Decoder> checked(uint32_t magic, Bytes bytes, size_t header_bytes) {
  if (bytes.size() < header_bytes) return std::nullopt;
  const Bytes header = bytes.first(header_bytes);
  if (load_be<uint32_t>(header.data()) != magic) return std::nullopt;
  if (load_be<uint32_t>(header.data() + 4) != crc32c(header.subspan(kChecked))) return std::nullopt;
  return Decoder(header.subspan(kChecked));
}

std::optional<Owner> decode_owner(Decoder& in, uint32_t version_max) {
  const auto version = in.get<uint32_t>();
  if (version == 0 || version > version_max) return std::nullopt;
  Owner owner;
  owner.cluster_id = in.uuid();
  owner.lane = in.lane();
  return owner;
}

}  // namespace

void encode_segment_header(const SegmentHeader& header, MutableBytes into) {
  CHECK(into.size() >= kPageBytes);
  std::ranges::fill(into.first(kPageBytes), std::byte{0});
  Fields out(into.data() + kChecked);
  out.put(kSegmentVersion).put(header.owner.cluster_id).put(header.owner.lane);
  out.put(header.number).put(header.first_position).put(header.first_sequence);
  finish(kSegmentMagic, into.first(kSegmentHeaderBytes));
}

std::optional<SegmentHeader> decode_segment_header(Bytes bytes) {
  auto in = checked(kSegmentMagic, bytes, kSegmentHeaderBytes);
  if (!in) return std::nullopt;
  const auto owner = decode_owner(*in, kSegmentVersion);
  if (!owner) return std::nullopt;
  SegmentHeader header;
  header.owner = *owner;
  header.number = in->get<uint64_t>();
  header.first_position = in->get<Position>();
  header.first_sequence = in->get<uint64_t>();
  return header;
}

void encode_group_header(const GroupHeader& header, MutableBytes into) {
  CHECK(into.size() >= kGroupHeaderBytes);
  std::ranges::fill(into.first(kGroupHeaderBytes), std::byte{0});
  Fields out(into.data() + kChecked);
  out.put(header.lane).put(header.sequence).put(header.position).put(header.durable_before);
  out.put(header.entry_count).put(header.body_bytes).put(header.body_crc);
  finish(kGroupMagic, into.first(kGroupHeaderBytes));
}

std::optional<GroupHeader> decode_group_header(Bytes bytes) {
  auto in = checked(kGroupMagic, bytes, kGroupHeaderBytes);
  if (!in) return std::nullopt;
  GroupHeader header;
  header.lane = in->lane();
  header.sequence = in->get<uint64_t>();
  header.position = in->get<Position>();
  header.durable_before = in->get<Position>();
  header.entry_count = in->get<uint32_t>();
  header.body_bytes = in->get<uint32_t>();
  header.body_crc = in->get<uint32_t>();
  return header;
}

void encode_entry_header(const EntryHeader& header, uint32_t payload_bytes, MutableBytes into) {
  CHECK(into.size() >= kEntryHeaderBytes);
  Fields out(into.data());
  out.put(header.stream.owner).put(header.stream.index);
  out.put(static_cast<uint8_t>(header.kind)).put(uint8_t{0}).put(uint16_t{0});
  out.put(header.epoch).put(header.base).put(header.count);
  out.put(header.append_time_ms)
      .put(header.max_timestamp)
      .put(header.producer_id)
      .put(payload_bytes);
}

std::optional<std::vector<Entry>> decode_body(const GroupHeader& header, const Buffer& block,
                                              Bytes body) {
  if (body.size() != header.body_bytes) return std::nullopt;
#ifndef PACELINE_PLANT_skip_tail_crc
  if (crc32c(body) != header.body_crc) return std::nullopt;
#endif
  Decoder in(body);
  if (header.entry_count > body.size() / kEntryHeaderBytes) return std::nullopt;
  std::vector<Entry> entries(header.entry_count);
  for (Entry& entry : entries) {
    EntryHeader& fields = entry.header;
    fields.stream = in.stream_id();
    const auto kind = in.get<uint8_t>();
    if (kind < static_cast<uint8_t>(EntryKind::batch) ||
        kind > static_cast<uint8_t>(EntryKind::release))
      return std::nullopt;
    fields.kind = EntryKind{kind};
    in.raw(3);
    fields.epoch = in.get<Epoch>();
    fields.base = in.get<Offset>();
    fields.count = in.get<uint32_t>();
    fields.append_time_ms = in.get<int64_t>();
    fields.max_timestamp = in.get<int64_t>();
    fields.producer_id = in.get<uint64_t>();
    const auto payload_bytes = in.get<uint32_t>();
    const Bytes payload = in.raw(payload_bytes);
    if (!in.ok()) return std::nullopt;
    entry.payload = Slice(block, payload);
  }
  if (!in.done()) return std::nullopt;
  return entries;
}

std::string encode_end(const LaneEnd& end) {
  std::string bytes(kEndBytes, '\0');
  const MutableBytes header(reinterpret_cast<std::byte*>(bytes.data()), kEndBytes);
  Fields out(header.data() + kChecked);
  out.put(end.marks.empty() ? 1u : kEndVersion).put(end.owner.cluster_id).put(end.owner.lane);
  out.put(end.end).put(static_cast<uint32_t>(end.marks.size()));
  out.put(end.marks.empty() ? 0u : crc32c(as_bytes(end.marks)));
  finish(kEndMagic, header);
  return bytes + end.marks;
}

std::optional<LaneEnd> decode_end(Bytes bytes) {
  auto in = checked(kEndMagic, bytes, kEndBytes);
  if (!in) return std::nullopt;
  const auto owner = decode_owner(*in, kEndVersion);
  if (!owner) return std::nullopt;
  LaneEnd end;
  end.owner = *owner;
  end.end = in->get<Position>();
  const auto marks_bytes = in->get<uint32_t>();
  const auto marks_crc = in->get<uint32_t>();
  const Bytes marks = bytes.subspan(kEndBytes);
  if (marks.size() != marks_bytes) return std::nullopt;
  if (!marks.empty() && crc32c(marks) != marks_crc) return std::nullopt;
  end.marks = to_string(marks);
  return end;
}

}  // namespace paceline::wal
