#include "record/recompress.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "record/records.h"
#include "record/test_vectors.h"
#include "record/validate.h"

namespace paceline::record {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr Codec kCodecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

BatchView view(std::string_view batch) {
  return *BatchView::parse(as_bytes(batch));
}
Result<std::string> recompressed(std::string_view batch, Codec codec, int level = kLevelDefault,
                                 size_t bytes_max = size_t{1} << 24) {
  RecompressOptions options;
  options.codec = codec;
  options.level = level;
  options.bytes_max = bytes_max;
  TRY(const Buffer packed, recompress(view(batch), options));
  return to_string(packed.bytes());
}
ValidateOptions options() {
  ValidateOptions out;
  out.now_ms = kNow;
  out.max_message_bytes = 1 << 24;
  return out;
}
// Everything a reader sees, but for the codec.
std::string told(std::string_view batch) {
  const BatchView seen = view(batch);
  std::string out = fmt::format(
      "{} {} {} {} {} {} {} {} {} {}\n", seen.base_offset().value,
      seen.partition_leader_epoch().value, seen.attributes() & ~kCodecMask,
      seen.last_offset_delta(), seen.base_timestamp(), seen.max_timestamp(),
      seen.producer_id().value, seen.producer_epoch(), seen.base_sequence(), seen.record_count());
  auto reader = RecordReader::open(seen);
  EXPECT_TRUE(reader);
  for (auto record = reader->next(); *record; record = reader->next()) {
    const RecordView& one = **record;
    out += fmt::format("{} {} {} {}", one.offset.value, one.timestamp, one.key.value_or("(null)"),
                       one.value.value_or("(null)"));
    for (const HeaderView& header : one.headers)
      out += fmt::format(" {}={}", header.key, header.value.value_or("(null)"));
    out += '\n';
  }
  return out;
}

// Null and empty keys, values and headers; times that go back; a producer at the wrap of sequences.
BatchBuilder all_sorts() {
  BatchBuilder builder;
  builder.producer(ProducerId(4711), 3, kSequenceMax - 2).transactional();
  builder.timestamp(kNow).add("key", "value");
  builder.timestamp(kNow - 50).add(std::nullopt, "value", {{"h", "x"}, {"h", std::nullopt}});
  builder.timestamp(kNow + 50).add("key", std::nullopt, {{"", ""}});
  builder.timestamp(kNow).add("", "").add(std::nullopt, std::nullopt);
  return builder;
}
BatchBuilder large(size_t bytes) {
  BatchBuilder builder;
  builder.timestamp(kNow);
  for (size_t i = 0; builder.bytes() < bytes; ++i)
    builder.add(std::to_string(i), std::to_string(i * i * 2654435761u) + std::string(i % 300, 'p'));
  return builder;
}

TEST(Recompress, EveryPairOfCodecsKeepsAllButTheCodec) {
  for (Codec from : kCodecs) {
    for (const std::string& batch :
         {*all_sorts().codec(from).build(), *large(1'000'000).codec(from).build()}) {
      for (Codec to : kCodecs) {
        auto made = recompressed(batch, to);
        ASSERT_TRUE(made) << codec_name(from) << codec_name(to) << made.error().to_string();
        EXPECT_EQ(view(*made).codec(), to);
        EXPECT_EQ(view(*made).size(), made->size());
        EXPECT_TRUE(view(*made).crc_ok());
        EXPECT_TRUE(told(*made) == told(batch)) << codec_name(from) << codec_name(to);
        auto before = validate_produced(as_bytes(batch), options());
        auto after = validate_produced(as_bytes(*made), options());
        ASSERT_TRUE(before && after);
        before->codec = to;
        before->bytes = made->size();
        EXPECT_EQ(*before, *after);
      }
    }
  }
}

TEST(Recompress, WhatClientsPackIsUnpacked) {
  const std::string plain = told(*recompressed(from_hex(kLibrdkafkaGzip), Codec::none));
  for (auto hex : {kLibrdkafkaSnappy, kLibrdkafkaLz4}) {
    for (Codec to : kCodecs) EXPECT_EQ(told(*recompressed(from_hex(hex), to)), plain);
  }
  const std::string python = from_hex(kKafkaPythonPlain);
  EXPECT_EQ(told(*recompressed(*recompressed(python, Codec::zstd), Codec::none)), told(python));
  EXPECT_EQ(*recompressed(*recompressed(python, Codec::gzip), Codec::none), python);
}

TEST(Recompress, PlacedAndLogAppendTimeBatchesStaySo) {
  std::string batch = *all_sorts().place(Offset(77), Epoch(5)).build();
  set_log_append_time(MutableBytes(reinterpret_cast<std::byte*>(batch.data()), batch.size()),
                      kNow + 9);
  EXPECT_EQ(told(*recompressed(batch, Codec::lz4)), told(batch));
}

TEST(Recompress, LevelsCount) {
  const std::string batch = *large(300'000).build();
  for (auto [codec, fast, best] :
       {std::tuple{Codec::gzip, 1, 9}, {Codec::lz4, 1, 12}, {Codec::zstd, -7, 22}}) {
    EXPECT_LT(recompressed(batch, codec, best)->size(), recompressed(batch, codec, fast)->size());
    EXPECT_EQ(told(*recompressed(batch, codec, best)), told(batch));
  }
  EXPECT_EQ(recompressed(batch, Codec::gzip, 77).error().code, Code::invalid_argument);
}

TEST(Recompress, WhatComesOutIsBoundedToTheByte) {
  const std::string batch = *large(200'000).codec(Codec::gzip).build();
  for (Codec to : kCodecs) {
    const size_t size = recompressed(batch, to)->size();
    EXPECT_TRUE(recompressed(batch, to, kLevelDefault, size)) << codec_name(to);
    auto over = recompressed(batch, to, kLevelDefault, size - 1);
    ASSERT_FALSE(over) << codec_name(to);
    EXPECT_EQ(over.error().code, Code::too_large);
  }
}

TEST(Recompress, ABombEndsAtTheBoundOfWhatComesOut) {
  const std::string zeros(size_t{32} << 20, '\0');
  const std::string bomb =
      *BatchBuilder().codec(Codec::zstd).timestamp(kNow).add("k", zeros).build();
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_EQ(recompressed(bomb, Codec::none, kLevelDefault, 1 << 20).error().code, Code::too_large);
  EXPECT_TRUE(recompressed(bomb, Codec::gzip, kLevelDefault, 1 << 20));
  RecompressOptions narrow{.codec = Codec::gzip, .bytes_max = 1 << 20, .decompressed_bytes_max = 9};
  EXPECT_EQ(recompress(view(bomb), narrow).error().code, Code::too_large);
}

TEST(Recompress, BrokenStreamsAreToldAndNeverCrash) {
  for (Codec from : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const std::string batch = *all_sorts().codec(from).build();
    for (size_t at = kBatchHeaderBytes; at < batch.size(); ++at) {
      std::string bad = batch;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      auto made = recompressed(bad, Codec::zstd);
      if (!made)
        EXPECT_TRUE(made.error().code == Code::corrupt || made.error().code == Code::too_large);
    }
    std::string cut = batch.substr(0, batch.size() - 3);
    store_be(reinterpret_cast<std::byte*>(cut.data()) + kBatchLengthAt,
             static_cast<int32_t>(cut.size() - kBatchLengthEnd));
    EXPECT_EQ(recompressed(cut, Codec::none).error().code, Code::corrupt) << codec_name(from);
  }
}

}  // namespace
}  // namespace paceline::record
