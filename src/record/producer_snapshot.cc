#include <algorithm>

#include "base/codec.h"
#include "record/producer_state.h"

// Producer snapshot, version 1. Big-endian, varints are LEB128, no checksum: whoever stores it adds
// one.
//
//   u16 version | i64 end | varint producer count
//   per producer, ascending by id:
//     i64 id | i16 epoch | i64 last offset | i64 last append time (ms) | varint batch count, 0..5
//     per batch, ascending: i32 base sequence | i32 last sequence
//                           i64 base offset | i64 last offset | i64 append time (ms)
//     u8 1 if a transaction is open, then i64 its first offset; 0 in this version
//   varint count of aborted ranges; 0 in this version
//
// "last offset" and "last append time" differ from the last batch's if a marker came after it.

namespace paceline::record {
namespace {

constexpr uint16_t kVersion = 1;
constexpr size_t kBatchBytes = 4 + 4 + 8 + 8 + 8;
constexpr size_t kProducerBytesMin = 8 + 2 + 8 + 8 + 1 + 1;

std::unexpected<Error> corrupt() {
  return fail(Code::corrupt, "a producer snapshot is malformed");
}

}  // namespace

std::string ProducerState::snapshot(Offset end) const {
  CHECK(end >= floor_);
  std::vector<std::pair<ProducerId, const Entries*>> known;
  for (const auto& [id, entries] : producers_)
    if (count_below(entries, end) > 0) known.emplace_back(id, &entries);
  std::ranges::sort(known);
  Encoder out;
  out.put(kVersion).put(end).varint(known.size());
  for (const auto& [id, entries] : known) {
    const size_t count = count_below(*entries, end);
    const size_t first = first_relevant(*entries, count);
    const Entry& last = (*entries)[count - 1];
    const auto batches = std::count_if(entries->begin() + static_cast<ptrdiff_t>(first),
                                       entries->begin() + static_cast<ptrdiff_t>(count),
                                       [](const Entry& entry) { return !entry.marker(); });
    out.put(id).put(last.epoch).put(last.last_offset).put(last.append_time_ms);
    out.varint(static_cast<uint64_t>(batches));
    for (size_t i = first; i < count; ++i) {
      const Entry& entry = (*entries)[i];
      if (entry.marker()) continue;
      out.put(entry.base_sequence).put(entry.last_sequence);
      out.put(entry.base_offset).put(entry.last_offset).put(entry.append_time_ms);
    }
    out.put(uint8_t{0});
  }
  out.varint(0);
  return out.take();
}

Result<ProducerState> ProducerState::decode(Bytes snapshot, size_t producers_max) {
  Decoder in(snapshot);
  if (const auto version = in.get<uint16_t>(); in.ok() && version != kVersion)
    return fail(Code::unsupported, "a producer snapshot of another version");
  ProducerState state(producers_max);
  state.floor_ = state.end_ = in.get<Offset>();
  if (state.end_ < Offset(0)) return corrupt();
  const size_t producer_count = in.count(kProducerBytesMin);
  ProducerId previous = kNoProducerId;
  for (size_t i = 0; i < producer_count; ++i) {
    const auto id = in.get<ProducerId>();
    const auto epoch = in.get<int16_t>();
    const auto last_offset = in.get<Offset>();
    const auto last_append_ms = in.get<int64_t>();
    const size_t batch_count = in.count(kBatchBytes);
    if (!in.ok() || id <= previous || epoch < 0 || batch_count > kProducerBatchesKept ||
        last_offset < Offset(0) || last_offset >= state.end_)
      return corrupt();
    previous = id;
    Entries entries;
    Offset next{0};
    for (size_t b = 0; b < batch_count; ++b) {
      Entry entry{};
      entry.base_sequence = in.get<int32_t>();
      entry.last_sequence = in.get<int32_t>();
      entry.base_offset = in.get<Offset>();
      entry.last_offset = in.get<Offset>();
      entry.append_time_ms = in.get<int64_t>();
      entry.epoch = epoch;
      if (!in.ok() || entry.base_sequence < 0 || entry.last_sequence < 0 ||
          entry.base_offset < next || entry.last_offset < entry.base_offset ||
          entry.last_offset > last_offset)
        return corrupt();
      next = entry.last_offset + 1;
      entries.push_back(entry);
    }
    if (entries.empty() || entries.back().last_offset < last_offset)
      entries.push_back(
          Entry{kNoSequence, kNoSequence, last_offset, last_offset, last_append_ms, epoch});
    if (entries.back().append_time_ms != last_append_ms) return corrupt();
    if (in.get<uint8_t>() != 0) return fail(Code::unsupported, "a snapshot with open transactions");
    state.producers_.emplace(id, std::move(entries));
  }
  if (in.varint() != 0) return fail(Code::unsupported, "a snapshot with aborted ranges");
  if (!in.done()) return corrupt();
  return state;
}

}  // namespace paceline::record
