#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "stream/object_builder.h"

namespace paceline::stream {
namespace {

const ObjectId kId{Lane{BrokerId(3), Incarnation(7)}, 12};

StreamPart part_of(uint32_t index, int64_t base, int batches, size_t bytes) {
  StreamPart part;
  part.record.stream = {Uuid{{5}}, index};
  part.record.start = Offset(base);
  part.record.epoch = Epoch(4);
  part.record.snapshot = "state";
  for (int i = 0; i < batches; ++i, base += 3)
    part.batches.push_back(
        {.base = Offset(base),
         .count = 3,
         .epoch = Epoch(4),
         .append_time_ms = 10 + i,
         .max_timestamp = 100 - i,
         .producer_id = static_cast<uint64_t>(i),
         .bytes = Slice::copy_of(as_bytes(std::string(bytes, static_cast<char>('a' + i))))});
  // Of some it is known, as of those that were produced since the start.
  for (size_t i = 1; i < part.batches.size(); i += 2)
    part.batches[i].crc = crc32c(part.batches[i].bytes.bytes());
  part.record.end = part.record.snapshot_end = Offset(base);
  return part;
}

std::string join(const std::vector<Slice>& body) {
  std::string all;
  for (const Slice& slice : body) all += as_text(slice.bytes());
  return all;
}

BuiltObject build(const std::vector<StreamPart>& parts, bool checkpoint = false,
                  bool compress = false) {
  const ObjectPlan plan{.cluster_id = Uuid{{1}},
                        .id = kId,
                        .nonce = 99,
                        .checkpoint = checkpoint,
                        .block_bytes = 1000,
                        .compress = compress};
  return build_object(plan, parts);
}

TEST(ObjectFormat, WhatIsBuiltIsReadBack) {
  const std::vector<StreamPart> parts{part_of(1, 0, 10, 200), part_of(2, 50, 0, 0),
                                      part_of(3, 7, 2, 5000)};
  const BuiltObject built = build(parts, true);
  const Slice body = Slice::copy_of(as_bytes(join(built.body)));
  ASSERT_EQ(body.size(), built.header.object_bytes);
  const auto header = decode_header(kId, body.bytes().first(kHeaderBytes));
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(*header, built.header);
  EXPECT_TRUE(trailer_fits(body.bytes().first(kHeaderBytes), body.bytes().last(kTrailerBytes)));
  const auto index =
      decode_index(kId, body.bytes().subspan(header->index_position, header->index_bytes));
  ASSERT_TRUE(index.has_value()) << index.error().message;
  // Ten batches of 244 bytes: four a block. Two that are larger than a block: one each.
  EXPECT_EQ(index->blocks.size(), 3u + 2u);
  for (const StreamPart& part : parts) {
    for (const Batch& batch : part.batches) {
      const BlockRef* ref = index->find(part.record.stream, batch.base + 1);
      ASSERT_NE(ref, nullptr);
      const auto batches = decode_block(*ref, body.subslice(ref->position, ref->bytes));
      ASSERT_TRUE(batches.has_value()) << batches.error().message;
      const auto found = std::ranges::find(*batches, batch.base, &Batch::base);
      ASSERT_NE(found, batches->end());
      EXPECT_EQ(as_text(found->bytes.bytes()), as_text(batch.bytes.bytes()));
      EXPECT_EQ(found->producer_id, batch.producer_id);
      EXPECT_EQ(found->max_timestamp, batch.max_timestamp);
    }
  }
  EXPECT_EQ(index->find({Uuid{{5}}, 1}, Offset(30)), nullptr);
  EXPECT_EQ(index->find({Uuid{{5}}, 2}, Offset(50)), nullptr);
  EXPECT_EQ(index->find({Uuid{{5}}, 3}, Offset(6)), nullptr);
  const Bytes section = body.bytes().subspan(header->directory_position, header->directory_bytes);
  const auto directory = decode_directory(kId, section);
  ASSERT_TRUE(directory.has_value()) << directory.error().message;
  EXPECT_TRUE(directory->checkpoint);
  ASSERT_EQ(directory->records.size(), 3u);
  EXPECT_EQ(directory->records[0].extents, std::vector<Extent>{built.extents[0]});
  EXPECT_EQ(directory->records[0].extents[0].max_timestamp, 100);
  EXPECT_TRUE(directory->records[1].extents.empty());
}

TEST(ObjectFormat, PackedBlocksOpenToTheSameBatches) {
  std::vector<StreamPart> parts{part_of(1, 0, 10, 200), part_of(3, 7, 2, 5000)};
  const BuiltObject plain = build(parts);
  const BuiltObject packed = build(parts, false, true);
  EXPECT_EQ(plain.header.version, 1);
  EXPECT_EQ(packed.header.version, 2);
  EXPECT_LT(packed.header.object_bytes, plain.header.object_bytes / 4);
  EXPECT_EQ(packed.extents, plain.extents) << "they count bytes of batches, packed or not";
  const Slice body = Slice::copy_of(as_bytes(join(packed.body)));
  const auto header = decode_header(kId, body.bytes().first(kHeaderBytes));
  ASSERT_TRUE(header.has_value()) << header.error().message;
  const auto index =
      decode_index(kId, body.bytes().subspan(header->index_position, header->index_bytes));
  ASSERT_TRUE(index.has_value()) << index.error().message;
  for (const StreamPart& part : parts)
    for (const Batch& batch : part.batches) {
      const BlockRef* ref = index->find(part.record.stream, batch.base);
      ASSERT_NE(ref, nullptr);
      EXPECT_GT(ref->raw_bytes, ref->bytes);
      const auto batches = decode_block(*ref, body.subslice(ref->position, ref->bytes));
      ASSERT_TRUE(batches.has_value()) << batches.error().message;
      const auto found = std::ranges::find(*batches, batch.base, &Batch::base);
      ASSERT_NE(found, batches->end());
      EXPECT_EQ(as_text(found->bytes.bytes()), as_text(batch.bytes.bytes()));
    }
}

TEST(ObjectFormat, AHigherVersionIsRefused) {
  BuiltObject built = build({part_of(1, 0, 10, 200)});
  built.header.version = kObjectVersion + 1;
  EXPECT_EQ(decode_header(kId, as_bytes(encode_header(built.header))).error().code,
            Code::unsupported);
  Encoder section;
  open_section(section, 0x504c4958, kId, kObjectVersion + 1);
  close_section(section);
  EXPECT_EQ(decode_index(kId, section.bytes()).error().code, Code::unsupported);
}

TEST(ObjectFormat, OneStreamIsFoundInADirectory) {
  Directory directory{.checkpoint = true, .records = {}};
  for (uint32_t i = 0; i < 100; ++i) directory.records.push_back(part_of(i * 2, i, 0, 0).record);
  const std::string bytes = encode_directory(kId, directory);
  for (uint32_t i = 0; i < 200; ++i) {
    const auto found = find_in_directory(kId, as_bytes(bytes), {Uuid{{5}}, i});
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->has_value(), i % 2 == 0) << i;
    if (*found) EXPECT_EQ(**found, directory.records[i / 2]);
  }
}

TEST(ObjectFormat, AnyFlippedBitOfASectionIsCorrupt) {
  const BuiltObject built = build({part_of(1, 0, 4, 50)});
  const std::string whole = join(built.body);
  const auto index_bytes = whole.substr(built.header.index_position, built.header.index_bytes);
  const Index index = *decode_index(kId, as_bytes(index_bytes));
  const BlockRef& ref = index.blocks.front();
  for (size_t at = 0; at < whole.size() - kTrailerBytes; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    const Slice body = Slice::copy_of(as_bytes(bad));
    const bool header_ok = decode_header(kId, body.bytes().first(kHeaderBytes)).has_value();
    const bool block_ok = decode_block(ref, body.subslice(ref.position, ref.bytes)).has_value();
    const bool index_ok = decode_index(kId, body.bytes().subspan(built.header.index_position,
                                                                 built.header.index_bytes))
                              .has_value();
    const bool directory_ok =
        decode_directory(kId, body.bytes().subspan(built.header.directory_position,
                                                   built.header.directory_bytes))
            .has_value();
    EXPECT_EQ(header_ok + block_ok + index_ok + directory_ok, 3) << "byte " << at;
  }
}

TEST(ObjectFormat, AnotherObjectsBodyIsRefused) {
  const BuiltObject built = build({part_of(1, 0, 4, 50)});
  const std::string whole = join(built.body);
  ObjectId other = kId;
  other.number += 1;
  const auto header = decode_header(other, as_bytes(whole).first(kHeaderBytes));
  ASSERT_FALSE(header.has_value());
  EXPECT_EQ(header.error().code, Code::corrupt);
  EXPECT_FALSE(decode_index(
      other, as_bytes(whole).subspan(built.header.index_position, built.header.index_bytes)));
}

TEST(ObjectFormat, KeysNameObjects) {
  EXPECT_EQ(body_key(kId), "objects/00000003.0000000000000007/000000000000000c");
  EXPECT_EQ(parse_body_key(body_key(kId)), kId);
  EXPECT_FALSE(parse_body_key("objects/3.7/12").has_value());
  EXPECT_FALSE(parse_body_key("objects/0000000x.0000000000000007/000000000000000c").has_value());
}

}  // namespace
}  // namespace paceline::stream
