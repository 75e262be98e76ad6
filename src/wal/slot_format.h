#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wal/format.h"

// The bytes and names of the object WAL, as docs/format/wal.md describes them. Everything here is
// pure: from bytes nobody trusts to values, and back. Integers are big-endian.

namespace paceline::wal {

// The highest that is read. What needs no more is written as version 1, which older builds read.
inline constexpr uint32_t kSlotVersion = 2;
inline constexpr uint32_t kMovingVersion = 2;    // of slots with streams that come or go
inline constexpr size_t kSlotHeaderBytes = 128;  // all of a seal, which is how a list tells it
inline constexpr size_t kSlotTrailerBytes = 24;

// The numbers are persisted and never change.
enum class SlotKind : uint8_t {
  data = 1,  // one commit group of the lane
  seal = 2,  // the lane ends before it, if every slot below it is of data
  end = 3,   // not a slot: the lane ends at `sequence`, whatever becomes of its slots
};

// Tells a body from every other one that somebody may put under the same key.
struct Nonce {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Nonce&) const = default;
};

struct SlotHeader {
  uint32_t version = 1;
  SlotKind kind = SlotKind::data;
  Owner owner;
  uint64_t sequence = 0;  // as in the key; of an end, the end
  Nonce nonce;            // one for all slots of a writer; one for each seal
  // Of data:
  Position trimmed;  // a hint: slots below it were no longer needed when this one was put
  uint32_t entry_count = 0;
  uint32_t entries_bytes = 0;
  uint32_t entries_crc = 0;
  uint32_t index_bytes = 0;
  uint32_t index_crc = 0;
  // Of a seal, or an end:
  Lane sealer;  // for the operator; 0.0 if it was no broker

  uint64_t index_position() const { return kSlotHeaderBytes + uint64_t{entries_bytes}; }
  uint64_t object_bytes() const {
    return kind == SlotKind::data ? index_position() + index_bytes + kSlotTrailerBytes
                                  : kSlotHeaderBytes;
  }
};

std::string encode_slot_header(const SlotHeader& header);
// Nothing unless magic, version, kind and checksum hold.
std::optional<SlotHeader> decode_slot_header(Bytes bytes);

// Stands behind the index, so that whoever knows the size of the object finds the index without
// the header.
struct SlotTrailer {
  uint64_t sequence = 0;
  uint32_t index_bytes = 0;
  uint32_t index_crc = 0;
};
std::string encode_slot_trailer(const SlotTrailer& trailer);
std::optional<SlotTrailer> decode_slot_trailer(Bytes bytes);

// What one slot holds of one stream.
struct SlotRow {
  StreamId stream;
  Epoch epoch;                  // the highest of its entries
  std::optional<Offset> base;   // of its first batch
  std::optional<Offset> end;    // behind its last batch
  std::optional<Offset> start;  // the highest it is trimmed to
  uint32_t position = 0;        // in the object, of its first entry
  uint32_t entry_count = 0;
  std::vector<uint64_t> producers;  // touched, each once, sorted
  bool operator==(const SlotRow&) const = default;
};
std::string encode_slot_index(const std::vector<SlotRow>& rows);
std::optional<std::vector<SlotRow>> decode_slot_index(Bytes bytes);
std::vector<StreamMark> marks_of(const std::vector<SlotRow>& rows);

// Gathers the index of the slot that is being filled. Pure.
class SlotIndexer {
 public:
  void add(const EntryHeader& header, uint32_t position);
  // By stream, and begins anew.
  std::vector<SlotRow> take();

 private:
  std::vector<SlotRow> rows_;
  std::unordered_map<StreamId, size_t> places_;
};

// `wal/<cluster>/<broker>.<incarnation>/<sequence>`, numbers in fixed-width hexadecimal, so that a
// list is in the order of the numbers; `…/end` stands beside them.
std::string slots_prefix(const Owner& owner);
std::string slot_key(const Owner& owner, uint64_t sequence);
std::string end_key(const Owner& owner);
std::optional<uint64_t> parse_slot_key(const Owner& owner, std::string_view key);

}  // namespace paceline::wal
