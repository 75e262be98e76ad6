#include "stream/object_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "stream/block_codec.h"

namespace paceline::stream {
namespace {

constexpr uint64_t kHeaderMagic = 0x50434c4e4f424a31;   // "PCLNOBJ1"
constexpr uint64_t kTrailerMagic = 0x50434c4e454e4431;  // "PCLNEND1"
constexpr uint32_t kIndexMagic = 0x504c4958;            // "PLIX"

std::unexpected<Error> damaged(const ObjectId& id, std::string_view what) {
  return fail(Code::corrupt, fmt::format("object {}: {}", id.to_string(), what));
}

std::unexpected<Error> wrong_block(const BlockRef& ref, std::string_view what) {
  return fail(Code::corrupt, fmt::format("block {}..{} of stream {}: {}", ref.base.value,
                                         ref.end.value, ref.stream.to_string(), what));
}

Result<std::vector<Batch>> decode_raw_block(const BlockRef& ref, const Slice& block) {
  auto wrong = [&](std::string_view what) { return wrong_block(ref, what); };
  if (ref.batch_count > block.size() / kBatchRowBytes) return wrong("its table does not fit");
  Decoder in(block.bytes());
  size_t at = size_t{ref.batch_count} * kBatchRowBytes;
  Offset next = ref.base;
  std::vector<Batch> batches;
  batches.reserve(ref.batch_count);
  for (uint32_t i = 0; i < ref.batch_count; ++i) {
    uint32_t bytes = 0;
    Batch batch = get_batch_row(in, bytes);
    if (batch.base != next || batch.count == 0 || batch.count > ref.end - batch.base)
      return wrong("its batches are not consecutive");
    if (bytes > block.size() - at) return wrong("a batch ends behind it");
    batch.bytes = block.subslice(at, bytes);
    at += bytes;
    next = batch.end();
    batches.push_back(std::move(batch));
  }
  if (next != ref.end || at != block.size()) return wrong("its table does not cover it");
  return batches;
}

}  // namespace

std::string encode_header(const Header& header) {
  Encoder out;
  out.put(kHeaderMagic).put(header.version).put(uint16_t{0}).put(header.cluster_id);
  put_object_id(out, header.id);
  out.put(header.nonce).put(header.index_position).put(header.index_bytes);
  out.put(header.directory_position).put(header.directory_bytes).put(header.object_bytes);
  out.put(header.created_s).put(crc32c(out.bytes()));
  std::string bytes = out.take();
  CHECK(bytes.size() == kHeaderBytes);
  return bytes;
}

Result<Header> decode_header(const ObjectId& id, Bytes bytes) {
  if (bytes.size() != kHeaderBytes) return damaged(id, "the header is cut");
  const Bytes body = bytes.first(kHeaderBytes - 4);
  if (load_be<uint32_t>(bytes.data() + body.size()) != crc32c(body))
    return damaged(id, "the header does not match its checksum");
  Decoder in(body);
  Header header;
  const auto magic = in.get<uint64_t>();
  const auto version = in.get<uint16_t>();
  if (magic != kHeaderMagic) return damaged(id, "this is no object of ours");
  if (version > kObjectVersion)
    return fail(Code::unsupported, fmt::format("object {} has format {}; this build knows up to {}",
                                               id.to_string(), version, kObjectVersion));
  header.version = version;
  in.get<uint16_t>();
  header.cluster_id = in.uuid();
  header.id = get_object_id(in);
  header.nonce = in.get<uint64_t>();
  header.index_position = in.get<uint64_t>();
  header.index_bytes = in.get<uint32_t>();
  header.directory_position = in.get<uint64_t>();
  header.directory_bytes = in.get<uint32_t>();
  header.object_bytes = in.get<uint64_t>();
  header.created_s = in.get<uint32_t>();
  if (!in.ok() || version == 0) return damaged(id, "the header has not its fields");
  if (header.id != id) return damaged(id, "the body is of object " + header.id.to_string());
  if (header.index_position > header.object_bytes ||
      header.directory_position > header.object_bytes ||
      header.index_bytes > header.object_bytes - header.index_position ||
      header.directory_bytes > header.object_bytes - header.directory_position)
    return damaged(id, "a section stands outside of the object");
  return header;
}

std::string encode_trailer(const std::string& header) {
  CHECK(header.size() == kHeaderBytes);
  Encoder out;
  out.put(kTrailerMagic).raw(as_bytes(header).last(4));
  return out.take();
}

bool trailer_fits(Bytes header, Bytes trailer) {
  return header.size() == kHeaderBytes && trailer.size() == kTrailerBytes &&
         load_be<uint64_t>(trailer.data()) == kTrailerMagic &&
         as_text(trailer.last(4)) == as_text(header.last(4));
}

std::string encode_block_table(std::span<const Batch> batches) {
  Encoder out;
  for (const Batch& batch : batches) put_batch_row(out, batch);
  CHECK(out.size() == batches.size() * kBatchRowBytes);
  return out.take();
}

Result<std::vector<Batch>> decode_block(const BlockRef& ref, const Slice& block) {
  if (block.size() != ref.bytes) return wrong_block(ref, "it is cut");
  if (crc32c(block.bytes()) != ref.crc) return wrong_block(ref, "it does not match its checksum");
  if (ref.raw_bytes == 0) return decode_raw_block(ref, block);
  auto opened = open_block(block.bytes(), ref.raw_bytes);
  if (!opened) return wrong_block(ref, opened.error().message);
  return decode_raw_block(ref, *opened);
}

const BlockRef* Index::find(const StreamId& stream, Offset offset) const {
  const auto after = std::upper_bound(
      blocks.begin(), blocks.end(), offset, [&](Offset value, const BlockRef& block) {
        return block.stream != stream ? stream < block.stream : value < block.base;
      });
  if (after == blocks.begin()) return nullptr;
  const BlockRef& block = *std::prev(after);
  return block.stream == stream && offset < block.end ? &block : nullptr;
}

std::span<const BlockRef> Index::of_stream(const StreamId& stream) const {
  const auto range = std::ranges::equal_range(blocks, stream, {}, &BlockRef::stream);
  return {range.begin(), range.end()};
}

void open_section(Encoder& out, uint32_t magic, const ObjectId& id, uint16_t version) {
  out.put(magic).put(version);
  put_object_id(out, id);
}

void close_section(Encoder& out) {
  out.put(crc32c(out.bytes()));
}

Result<Section> check_section(std::string_view kind, uint32_t magic, uint16_t version_max,
                              const ObjectId& id, Bytes bytes) {
  if (bytes.size() < kSectionCrcBytes) return damaged(id, fmt::format("the {} is cut", kind));
  const Bytes body = bytes.first(bytes.size() - kSectionCrcBytes);
  if (load_be<uint32_t>(bytes.data() + body.size()) != crc32c(body))
    return damaged(id, fmt::format("the {} does not match its checksum", kind));
  Decoder in(body);
  const auto found = in.get<uint32_t>();
  const auto version = in.get<uint16_t>();
  const ObjectId owner = get_object_id(in);
  if (!in.ok() || found != magic || version == 0)
    return damaged(id, fmt::format("what stands there is no {}", kind));
  if (version > version_max)
    return fail(Code::unsupported,
                fmt::format("the {} of object {} has format {}; this build knows up to {}", kind,
                            id.to_string(), version, version_max));
  if (owner != id)
    return damaged(id, fmt::format("the {} is of object {}", kind, owner.to_string()));
  return Section{in, version};
}

std::string encode_index(const ObjectId& id, std::span<const BlockRef> blocks) {
  Encoder out;
  const bool packed =
      std::ranges::any_of(blocks, [](const BlockRef& block) { return block.raw_bytes > 0; });
  open_section(out, kIndexMagic, id, packed ? kPackedVersion : 1);
  out.put(static_cast<uint32_t>(blocks.size()));
  for (const BlockRef& block : blocks) {
    out.put(block.stream).put(block.base).put(block.end).put(block.position).put(block.bytes);
    out.put(block.crc).put(block.max_timestamp).put(block.append_time_ms).put(block.batch_count);
    if (packed) out.put(block.raw_bytes);
  }
  close_section(out);
  return out.take();
}

Result<Index> decode_index(const ObjectId& id, Bytes bytes) {
  TRY(Section section, check_section("index", kIndexMagic, kPackedVersion, id, bytes));
  Decoder& in = section.fields;
  const bool packed = section.version >= kPackedVersion;
  const auto count = in.get<uint32_t>();
  if (!in.ok() || in.remaining() != count * (packed ? kPackedRowBytes : kBlockRowBytes))
    return damaged(id, "the index has not its rows");
  Index index;
  index.blocks.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    BlockRef block;
    block.stream = in.stream_id();
    block.base = in.get<Offset>();
    block.end = in.get<Offset>();
    block.position = in.get<uint64_t>();
    block.bytes = in.get<uint32_t>();
    block.crc = in.get<uint32_t>();
    block.max_timestamp = in.get<int64_t>();
    block.append_time_ms = in.get<int64_t>();
    block.batch_count = in.get<uint32_t>();
    if (packed) block.raw_bytes = in.get<uint32_t>();
    if (block.base.value < 0 || block.end <= block.base)
      return damaged(id, "the index has an empty block");
    if (!index.blocks.empty()) {
      const BlockRef& before = index.blocks.back();
      if (block.stream < before.stream ||
          (block.stream == before.stream && block.base < before.end))
        return damaged(id, "the index is not in order");
    }
    index.blocks.push_back(block);
  }
  return index;
}

}  // namespace paceline::stream
