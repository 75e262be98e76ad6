#include "stream/object_builder.h"

#include <algorithm>

#include "base/crc32c.h"
#include "stream/block_codec.h"

namespace paceline::stream {
namespace {

class Layout {
 public:
  Layout(uint64_t block_bytes, bool compress) : block_bytes_(block_bytes), compress_(compress) {
    add(Slice::copy_of(as_bytes(std::string(kHeaderBytes, '\0'))));  // replaced once all is known
  }

  void add(Slice slice) {
    position_ += slice.size();
    body_.push_back(std::move(slice));
  }
  void add_text(const std::string& text) { add(Slice::copy_of(as_bytes(text))); }

  Extent add_batches(const StreamId& stream, const std::vector<Batch>& batches,
                     const ObjectId& id) {
    Extent extent{.base = batches.front().base, .end = batches.back().end(), .object = id};
    size_t first = 0;
    while (first < batches.size()) {
      size_t last = first;
      uint64_t bytes = 0;
      while (last < batches.size()) {
        const uint64_t more = kBatchRowBytes + batches[last].bytes.size();
        if (last > first && bytes + more > block_bytes_) break;
        bytes += more;
        ++last;
      }
      const BlockRef& block = add_block(stream, std::span(batches).subspan(first, last - first));
      extent.bytes += bytes - size_t{block.batch_count} * kBatchRowBytes;
      extent.max_timestamp = std::max(extent.max_timestamp, block.max_timestamp);
      extent.append_time_ms = block.append_time_ms;
      first = last;
    }
    return extent;
  }

  uint64_t position() const { return position_; }
  const std::vector<BlockRef>& blocks() const { return blocks_; }
  std::vector<Slice> take(const std::string& header) {
    body_.front() = Slice::copy_of(as_bytes(header));
    return std::move(body_);
  }

 private:
  const BlockRef& add_block(const StreamId& stream, std::span<const Batch> batches) {
    BlockRef block{.stream = stream, .base = batches.front().base, .end = batches.back().end()};
    block.position = position_;
    block.batch_count = static_cast<uint32_t>(batches.size());
    block.append_time_ms = batches.back().append_time_ms;
    const std::string table = encode_block_table(batches);
    for (const Batch& batch : batches)
      block.max_timestamp = std::max(block.max_timestamp, batch.max_timestamp);
    if (!compress_ || !add_packed(block, table, batches)) add_raw(block, table, batches);
    block.bytes = static_cast<uint32_t>(position_ - block.position);
    blocks_.push_back(block);
    return blocks_.back();
  }

  bool add_packed(BlockRef& block, const std::string& table, std::span<const Batch> batches) {
    std::vector<Bytes> pieces{as_bytes(table)};
    size_t total = table.size();
    for (const Batch& batch : batches) {
      pieces.push_back(batch.bytes.bytes());
      total += batch.bytes.size();
    }
    auto packed = pack_block(pieces);
    if (!packed) return false;
    block.raw_bytes = static_cast<uint32_t>(total);
    block.crc = crc32c(packed->bytes());
    add(std::move(*packed));
    return true;
  }

  void add_raw(BlockRef& block, const std::string& table, std::span<const Batch> batches) {
    block.crc = crc32c(as_bytes(table));
    add_text(table);
    for (const Batch& batch : batches) {
      block.crc = batch.crc ? crc32c_combine(block.crc, *batch.crc, batch.bytes.size())
                            : crc32c(batch.bytes.bytes(), block.crc);
      if (!batch.bytes.empty()) add(batch.bytes);
    }
  }

  const uint64_t block_bytes_;
  const bool compress_;
  uint64_t position_ = 0;
  std::vector<Slice> body_;
  std::vector<BlockRef> blocks_;
};

}  // namespace

BuiltObject build_object(const ObjectPlan& plan, const std::vector<StreamPart>& parts) {
  Layout layout(plan.block_bytes, plan.compress);
  BuiltObject built;
  Directory directory{.checkpoint = plan.checkpoint, .records = {}};
  for (const StreamPart& part : parts) {
    DirectoryRecord record = part.record;
    Extent extent;
    if (!part.batches.empty()) {
      extent = layout.add_batches(record.stream, part.batches, plan.id);
      record.extents.push_back(extent);
    }
    built.extents.push_back(extent);
    if (plan.with_directory) directory.records.push_back(std::move(record));
  }
  Header header{.cluster_id = plan.cluster_id, .id = plan.id, .nonce = plan.nonce};
  header.created_s = static_cast<uint32_t>(plan.created_ms / 1000);
  for (const BlockRef& block : layout.blocks())
    if (block.raw_bytes > 0) header.version = kPackedVersion;
  const std::string index = encode_index(plan.id, layout.blocks());
  header.index_position = layout.position();
  header.index_bytes = static_cast<uint32_t>(index.size());
  layout.add_text(index);
  const std::string records = encode_directory(plan.id, directory);
  header.directory_position = layout.position();
  header.directory_bytes = static_cast<uint32_t>(records.size());
  layout.add_text(records);
  header.object_bytes = layout.position() + kTrailerBytes;
  const std::string encoded = encode_header(header);
  layout.add_text(encode_trailer(encoded));
  built.header = header;
  built.body = layout.take(encoded);
  return built;
}

}  // namespace paceline::stream
