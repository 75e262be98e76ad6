#include "wal/slot_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::wal {
namespace {

constexpr uint32_t kSlotMagic = 0x504c574f;     // "PLWO"
constexpr uint32_t kTrailerMagic = 0x504c5754;  // "PLWT"
// Both start with their magic and the checksum of all that follows in them.
constexpr size_t kChecked = 8;
constexpr std::string_view kEnd = "end";
constexpr size_t kSequenceDigits = 16;

// Flags of a row; numbers never change.
constexpr uint8_t kOtherOwner = 1;  // than the row before: 16 bytes follow
constexpr uint8_t kHasBatches = 2;
constexpr uint8_t kHasStart = 4;
constexpr size_t kRowBytesMin = 6;  // flags, index, epoch, position, entries, producers

Encoder begin(uint32_t magic) {
  Encoder out;
  out.put(magic).put(uint32_t{0});
  return out;
}

std::string finish(Encoder out, size_t bytes) {
  CHECK(out.size() <= bytes);
  out.raw(as_bytes(std::string(bytes - out.size(), '\0')));
  out.patch_u32(4, crc32c(out.bytes().subspan(kChecked)));
  return out.take();
}

// A decoder of what follows the checksum; nothing if that or the magic does not hold.
std::optional<Decoder> checked(uint32_t magic, Bytes bytes, size_t size) {
  if (bytes.size() < size) return std::nullopt;
  const Bytes part = bytes.first(size);
  if (load_be<uint32_t>(part.data()) != magic) return std::nullopt;
  if (load_be<uint32_t>(part.data() + 4) != crc32c(part.subspan(kChecked))) return std::nullopt;
  return Decoder(part.subspan(kChecked));
}

}  // namespace

std::string encode_slot_header(const SlotHeader& header) {
  Encoder out = begin(kSlotMagic);
  out.put(header.version).put(static_cast<uint8_t>(header.kind)).put(uint8_t{0}).put(uint16_t{0});
  out.put(header.owner.cluster_id).put(header.owner.lane).put(header.sequence);
  out.put(header.nonce.high).put(header.nonce.low).put(header.trimmed);
  out.put(header.entry_count).put(header.entries_bytes).put(header.entries_crc);
  out.put(header.index_bytes).put(header.index_crc);
  out.put(header.sealer);
  return finish(std::move(out), kSlotHeaderBytes);
}

std::optional<SlotHeader> decode_slot_header(Bytes bytes) {
  auto in = checked(kSlotMagic, bytes, kSlotHeaderBytes);
  if (!in) return std::nullopt;
  SlotHeader header;
  header.version = in->get<uint32_t>();
  if (header.version == 0 || header.version > kSlotVersion) return std::nullopt;
  const auto kind = in->get<uint8_t>();
  if (kind < static_cast<uint8_t>(SlotKind::data) || kind > static_cast<uint8_t>(SlotKind::end))
    return std::nullopt;
  header.kind = SlotKind{kind};
  in->raw(3);
  header.owner.cluster_id = in->uuid();
  header.owner.lane = in->lane();
  header.sequence = in->get<uint64_t>();
  header.nonce.high = in->get<uint64_t>();
  header.nonce.low = in->get<uint64_t>();
  header.trimmed = in->get<Position>();
  header.entry_count = in->get<uint32_t>();
  header.entries_bytes = in->get<uint32_t>();
  header.entries_crc = in->get<uint32_t>();
  header.index_bytes = in->get<uint32_t>();
  header.index_crc = in->get<uint32_t>();
  header.sealer = in->lane();
  return header;
}

std::string encode_slot_trailer(const SlotTrailer& trailer) {
  Encoder out = begin(kTrailerMagic);
  out.put(trailer.sequence).put(trailer.index_bytes).put(trailer.index_crc);
  return finish(std::move(out), kSlotTrailerBytes);
}

std::optional<SlotTrailer> decode_slot_trailer(Bytes bytes) {
  auto in = checked(kTrailerMagic, bytes, kSlotTrailerBytes);
  if (!in) return std::nullopt;
  SlotTrailer trailer;
  trailer.sequence = in->get<uint64_t>();
  trailer.index_bytes = in->get<uint32_t>();
  trailer.index_crc = in->get<uint32_t>();
  return trailer;
}

std::string encode_slot_index(const std::vector<SlotRow>& rows) {
  Encoder out;
  out.varint(rows.size());
  Uuid owner;
  for (const SlotRow& row : rows) {
    const bool other = row.stream.owner != owner;
    owner = row.stream.owner;
    const int flags =
        (other ? kOtherOwner : 0) | (row.end ? kHasBatches : 0) | (row.start ? kHasStart : 0);
    out.put(static_cast<uint8_t>(flags));
    if (other) out.put(owner);
    out.varint(row.stream.index);
    out.varint(static_cast<uint32_t>(row.epoch.value));
    if (row.end) {
      out.varint(static_cast<uint64_t>(row.base.value_or(*row.end).value));
      out.varint(static_cast<uint64_t>(row.end->value));
    }
    if (row.start) out.varint(static_cast<uint64_t>(row.start->value));
    out.varint(row.position);
    out.varint(row.entry_count);
    out.varint(row.producers.size());
    for (const uint64_t producer : row.producers) out.varint(producer);
  }
  return out.take();
}

std::optional<std::vector<SlotRow>> decode_slot_index(Bytes bytes) {
  Decoder in(bytes);
  std::vector<SlotRow> rows(in.count(kRowBytesMin));
  Uuid owner;
  for (SlotRow& row : rows) {
    const auto flags = in.get<uint8_t>();
    if (flags & kOtherOwner) owner = in.uuid();
    row.stream = {owner, static_cast<uint32_t>(in.varint())};
    row.epoch = Epoch(static_cast<int32_t>(in.varint()));
    if (flags & kHasBatches) {
      row.base = Offset(static_cast<int64_t>(in.varint()));
      row.end = Offset(static_cast<int64_t>(in.varint()));
    }
    if (flags & kHasStart) row.start = Offset(static_cast<int64_t>(in.varint()));
    row.position = static_cast<uint32_t>(in.varint());
    row.entry_count = static_cast<uint32_t>(in.varint());
    row.producers.resize(in.count(1));
    for (uint64_t& producer : row.producers) producer = in.varint();
  }
  if (!in.done()) return std::nullopt;
  return rows;
}

std::vector<StreamMark> marks_of(const std::vector<SlotRow>& rows) {
  std::vector<StreamMark> marks;
  marks.reserve(rows.size());
  for (const SlotRow& row : rows)
    marks.push_back({.stream = row.stream, .epoch = row.epoch, .end = row.end, .start = row.start});
  return marks;
}

void SlotIndexer::add(const EntryHeader& header, uint32_t position) {
  const auto [found, is_new] = places_.try_emplace(header.stream, rows_.size());
  if (is_new)
    rows_.push_back({.stream = header.stream,
                     .epoch = header.epoch,
                     .base = {},
                     .end = {},
                     .start = {},
                     .position = position,
                     .producers = {}});
  SlotRow& row = rows_[found->second];
  row.epoch = std::max(row.epoch, header.epoch);
  ++row.entry_count;
  if (header.kind == EntryKind::batch) {
    if (!row.base) row.base = header.base;
    row.end = header.base + static_cast<int64_t>(header.count);
    if (header.producer_id != ~0ull &&
        (row.producers.empty() || row.producers.back() != header.producer_id))
      row.producers.push_back(header.producer_id);
  } else if (header.kind == EntryKind::trim) {
    row.start = std::max(row.start.value_or(Offset(0)), header.base);
  }
}

std::vector<SlotRow> SlotIndexer::take() {
  places_.clear();
  std::ranges::sort(rows_, {}, &SlotRow::stream);
  for (SlotRow& row : rows_) {
    std::ranges::sort(row.producers);
    const auto twice = std::ranges::unique(row.producers);
    row.producers.erase(twice.begin(), twice.end());
  }
  return std::exchange(rows_, {});
}

std::string slots_prefix(const Owner& owner) {
  return fmt::format("wal/{}/{:08x}.{:016x}/", owner.cluster_id.to_string(),
                     static_cast<uint32_t>(owner.lane.broker.value), owner.lane.incarnation.value);
}

std::string slot_key(const Owner& owner, uint64_t sequence) {
  return fmt::format("{}{:016x}", slots_prefix(owner), sequence);
}

std::string end_key(const Owner& owner) {
  return slots_prefix(owner) + std::string(kEnd);
}

std::optional<uint64_t> parse_slot_key(const Owner& owner, std::string_view key) {
  const std::string prefix = slots_prefix(owner);
  if (!key.starts_with(prefix) || key.size() != prefix.size() + kSequenceDigits)
    return std::nullopt;
  const std::string_view digits = key.substr(prefix.size());
  uint64_t sequence = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), sequence, 16);
  if (error != std::errc{} || end != digits.data() + digits.size() ||
      slot_key(owner, sequence) != key)  // one spelling only
    return std::nullopt;
  return sequence;
}

}  // namespace paceline::wal
