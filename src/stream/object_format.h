#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/result.h"
#include "stream/stream.h"
#include "stream/types.h"

// The bytes of a stream-set object: header, blocks, index, directory, trailer.
// docs/format/object.md describes them; numbers never change. Big-endian. Every part has its own
// CRC32C and names the object it belongs to, so damage and mixed-up bodies are told before anything
// is believed.

namespace paceline::stream {

// The highest that is read. What needs no more is written as version 1, which older builds read.
inline constexpr uint16_t kObjectVersion = 2;
inline constexpr uint16_t kPackedVersion = 2;  // of a header and an index with packed blocks
inline constexpr size_t kHeaderBytes = 96;
inline constexpr size_t kTrailerBytes = 12;
inline constexpr size_t kBatchRowBytes = 44;  // of a block's table
inline constexpr size_t kBlockRowBytes = 72;  // of the index; version 2 adds the raw bytes
inline constexpr size_t kPackedRowBytes = 76;
inline constexpr size_t kSectionCrcBytes = 4;  // ends an index and a directory

struct Header {
  uint16_t version = 1;
  Uuid cluster_id;
  ObjectId id;
  uint64_t nonce =
      0;  // of the attempt that wrote the body: tells whose a body is after a lost answer
  uint64_t index_position = 0;
  uint32_t index_bytes = 0;
  uint64_t directory_position = 0;
  uint32_t directory_bytes = 0;
  uint64_t object_bytes = 0;
  uint32_t created_s = 0;  // since 1970, by the writer's clock; 0 = not told. For audits only
  bool operator==(const Header&) const = default;
};
std::string encode_header(const Header& header);
// corrupt: damaged, or of another object or cluster; unsupported: a newer format.
Result<Header> decode_header(const ObjectId& id, Bytes bytes);
// The last bytes of an object: a mark and the header's checksum again, so that a cut body shows.
std::string encode_trailer(const std::string& header);
bool trailer_fits(Bytes header, Bytes trailer);

// Consecutive whole batches of one stream, as the index knows them.
struct BlockRef {
  StreamId stream;
  Offset base;
  Offset end;
  uint64_t position = 0;
  uint32_t bytes = 0;
  uint32_t crc = 0;
  int64_t max_timestamp = -1;
  int64_t append_time_ms = 0;
  uint32_t batch_count = 0;
  uint32_t raw_bytes = 0;  // what it opens to, if it is packed; 0 = it is not
  bool operator==(const BlockRef&) const = default;
};

// What is told of a batch beside its bytes, in a block's table and in a passport.
inline void put_batch_row(Encoder& out, const Batch& batch) {
  out.put(batch.base).put(batch.count).put(batch.epoch).put(batch.append_time_ms);
  out.put(batch.max_timestamp).put(batch.producer_id);
  out.put(static_cast<uint32_t>(batch.bytes.size()));
}
// The bytes stay where they are; `bytes`: how many they are.
inline Batch get_batch_row(Decoder& in, uint32_t& bytes) {
  Batch batch;
  batch.base = in.get<Offset>();
  batch.count = in.get<uint32_t>();
  batch.epoch = in.get<Epoch>();
  batch.append_time_ms = in.get<int64_t>();
  batch.max_timestamp = in.get<int64_t>();
  batch.producer_id = in.get<uint64_t>();
  bytes = in.get<uint32_t>();
  return batch;
}

// A block is a table of its batches, one row each, and then their bytes; or all that packed.
std::string encode_block_table(std::span<const Batch> batches);
// The batches of a block, as slices of it, or of what it opens to. corrupt: anything does not fit
// `ref`. REQUIRES: `ref` is of a decoded index.
Result<std::vector<Batch>> decode_block(const BlockRef& ref, const Slice& block);

// The blocks of an object, by (stream, base).
struct Index {
  std::vector<BlockRef> blocks;

  // The block of `stream` that holds `offset`, or null.
  const BlockRef* find(const StreamId& stream, Offset offset) const;
  std::span<const BlockRef> of_stream(const StreamId& stream) const;
  uint64_t memory_bytes() const { return blocks.size() * sizeof(BlockRef) + 64; }
  bool spare_once() const { return false; }
  bool unfinished() const { return false; }
};
std::string encode_index(const ObjectId& id, std::span<const BlockRef> blocks);
Result<Index> decode_index(const ObjectId& id, Bytes bytes);

// The frame of an index or a directory: magic, version, object, ..., checksum.
void open_section(Encoder& out, uint32_t magic, const ObjectId& id, uint16_t version = 1);
void close_section(Encoder& out);
// A decoder of what stands between; corrupt or unsupported otherwise.
struct Section {
  Decoder fields;
  uint16_t version = 1;
};
Result<Section> check_section(std::string_view kind, uint32_t magic, uint16_t version_max,
                              const ObjectId& id, Bytes bytes);

inline void put_object_id(Encoder& out, const ObjectId& id) {
  out.put(id.lane).put(id.number);
}
inline ObjectId get_object_id(Decoder& in) {
  const Lane lane = in.lane();
  return ObjectId{lane, in.get<uint64_t>()};
}

inline constexpr size_t kExtentBytes = 60;
inline void put_extent(Encoder& out, const Extent& extent) {
  out.put(extent.base).put(extent.end);
  put_object_id(out, extent.object);
  out.put(extent.bytes).put(extent.max_timestamp).put(extent.append_time_ms);
}
inline Extent get_extent(Decoder& in) {
  Extent extent;
  extent.base = in.get<Offset>();
  extent.end = in.get<Offset>();
  extent.object = get_object_id(in);
  extent.bytes = in.get<uint64_t>();
  extent.max_timestamp = in.get<int64_t>();
  extent.append_time_ms = in.get<int64_t>();
  return extent;
}

}  // namespace paceline::stream
