#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "wal/wal.h"

// The bytes of the file WAL, as docs/format/wal.md describes them. Everything here is pure: from
// bytes nobody trusts to values, and back. Integers are big-endian.

namespace paceline::wal {

// Of segments: 2 since commits have marks, 3 since streams come and go; all are read.
inline constexpr uint32_t kSegmentVersion = 3;
inline constexpr uint32_t kEndVersion = 2;  // 1 if it has no marks
// Segment headers and groups start at multiples of it and are padded to it: the unit that direct
// access to a disk needs.
inline constexpr size_t kPageBytes = env::kDirectAlignment;
inline constexpr size_t kSegmentHeaderBytes = 64;  // of a whole page; the rest is zero
inline constexpr size_t kGroupHeaderBytes = 64;
inline constexpr size_t kEntryHeaderBytes = 68;
inline constexpr size_t kEndBytes = 64;  // without its marks
inline constexpr uint32_t kPayloadBytesMax = 1u << 30;

constexpr uint64_t round_to_page(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// Whose bytes these are.
struct Owner {
  Uuid cluster_id;
  Lane lane;
  bool operator==(const Owner&) const = default;
};

struct SegmentHeader {
  Owner owner;
  uint64_t number = 0;          // as in the file's name
  Position first_position;      // of the first group in it
  uint64_t first_sequence = 0;  // of the first group in it
};

struct GroupHeader {
  Lane lane;
  uint64_t sequence = 0;  // from 1, +1 a group of the lane
  Position position;      // where the group starts
  // Everything below was durable before this group was written. So a group that is damaged below
  // this position of a later one was once whole on disk.
  Position durable_before;
  uint32_t entry_count = 0;
  uint32_t body_bytes = 0;
  uint32_t body_crc = 0;

  uint64_t padded_bytes() const { return round_to_page(kGroupHeaderBytes + uint64_t{body_bytes}); }
  Position end() const { return position + padded_bytes(); }
};

// What the END file says: the lane's durable end, decided once.
struct LaneEnd {
  Owner owner;
  Position end;
  std::string marks;  // of the last commit, as in the log; empty if nobody knows them
};

// `into` has room for the bytes of the header; a segment header fills a whole page.
void encode_segment_header(const SegmentHeader& header, MutableBytes into);
void encode_group_header(const GroupHeader& header, MutableBytes into);
void encode_entry_header(const EntryHeader& header, uint32_t payload_bytes, MutableBytes into);
std::string encode_end(const LaneEnd& end);

// Nothing unless the magic, the version and the checksums hold.
std::optional<SegmentHeader> decode_segment_header(Bytes bytes);
std::optional<GroupHeader> decode_group_header(Bytes bytes);
std::optional<LaneEnd> decode_end(Bytes bytes);

// The entries of a group's body; payloads are slices of `block`. Nothing unless the checksum holds
// and the body is exactly that many well-formed entries. `body` lies in `block`.
std::optional<std::vector<Entry>> decode_body(const GroupHeader& header, const Buffer& block,
                                              Bytes body);

}  // namespace paceline::wal
