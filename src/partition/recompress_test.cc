#include "partition/test_storage.h"

namespace paceline::partition {
namespace {

using enum record::KafkaError;
using record::Codec;

class RecompressTest : public PartitionTest {
 protected:
  void pack_with(std::optional<Codec> codec, int level = record::kLevelDefault) {
    config.codec = codec;
    config.codec_level = level;
    partition->set_config(config);
  }
  // More than is packed in place.
  static record::BatchBuilder large(int64_t producer = -1, int32_t sequence = record::kNoSequence) {
    record::BatchBuilder builder;
    builder.timestamp(1'700'000'000'000);
    if (producer >= 0) builder.producer(record::ProducerId(producer), 0, sequence);
    for (int i = 0; i < 1000; ++i) builder.add(std::to_string(i), std::string(100, 'p'));
    return builder;
  }
  record::BatchView stored(size_t index) {
    return *record::BatchView::parse(stream().batches.at(index).bytes.bytes());
  }
};

TEST_F(RecompressTest, ProducerKeepsTheBytesAsTheyCame) {
  AppendRequest sent = request(plain(3).codec(Codec::gzip));
  const std::byte* at = sent.records.data();
  ASSERT_TRUE(world.wait(0, partition->append(sent)));
  EXPECT_EQ(stream().batches[0].bytes.data(), at);
  pack_with(Codec::gzip);  // the same codec: nothing to do either
  sent = request(plain(3).codec(Codec::gzip));
  at = sent.records.data();
  ASSERT_TRUE(world.wait(0, partition->append(sent)));
  EXPECT_EQ(stream().batches[1].bytes.data(), at);
}

TEST_F(RecompressTest, TheTopicsCodecReplacesTheProducers) {
  for (Codec to : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    pack_with(to);
    for (Codec from : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
      const Offset end = partition->high_watermark();
      EXPECT_EQ(append(plain(2).codec(from))->base, end);
      EXPECT_EQ(append(large().codec(from))->base, end + 2);
    }
  }
  ASSERT_EQ(stream().batches.size(), 50u);
  Offset next{0};
  for (size_t i = 0; i < stream().batches.size(); ++i) {
    EXPECT_EQ(stored(i).codec_number(), i / 10);
    EXPECT_EQ(stored(i).base_offset(), next);
    EXPECT_TRUE(stored(i).crc_ok());
    next = stored(i).next_offset();
  }
}

TEST_F(RecompressTest, CallsKeepTheirOrderWhereSomeArePackedElsewhere) {
  pack_with(Codec::gzip);
  auto first = start_now(large(9, 0));
  auto second = start_now(from(9, 1000).codec(Codec::gzip));  // needs no packing
  auto third = start_now(from(9, 1001));                      // packed in place
  auto fourth = start_now(large(9, 1002));
  settle();
  EXPECT_EQ((**first)->base, Offset(0));
  EXPECT_EQ((**second)->base, Offset(1000));
  EXPECT_EQ((**third)->base, Offset(1001));
  EXPECT_EQ((**fourth)->base, Offset(1002));
}

// Judged elsewhere, because it opens to more than the shard would open at once.
TEST_F(RecompressTest, ABatchThatOpensToMuchKeepsItsPlace) {
  auto vast = [](int32_t sequence) {
    record::BatchBuilder builder;
    builder.timestamp(1'700'000'000'000).producer(record::ProducerId(9), 0, sequence);
    builder.codec(Codec::gzip).add("k", std::string(1 << 20, 'z'));
    return builder;
  };
  auto first = start_now(vast(0));
  auto second = start_now(from(9, 1));  // judged at once
  auto third = start_now(vast(2));
  settle();
  ASSERT_TRUE(*first && *second && *third);
  ASSERT_TRUE(**first && **second && **third);
  EXPECT_EQ((**first)->base, Offset(0));
  EXPECT_EQ((**second)->base, Offset(1));
  EXPECT_EQ((**third)->base, Offset(2));
}

TEST_F(RecompressTest, ABombIsRefusedAndThoseBehindItAreNot) {
  record::BatchBuilder bomb;
  bomb.timestamp(1'700'000'000'000).codec(Codec::gzip);
  bomb.add("k", std::string(record::kDecompressedBytesMax, '0'));
  auto first = start_now(std::move(bomb));
  auto second = start_now(plain(2));
  settle();
  ASSERT_TRUE(*first && *second);
  EXPECT_EQ((**first).error().code, message_too_large);
  EXPECT_EQ((**second)->base, Offset(0));
}

TEST_F(RecompressTest, ARetryGetsTheOriginalOffset) {
  pack_with(Codec::zstd);
  ASSERT_TRUE(append(large(9, 0)));
  ASSERT_TRUE(append(from(9, 1000, 2)));
  for (auto codec :
       {std::optional(Codec::zstd), std::optional(Codec::none), std::optional<Codec>()}) {
    pack_with(codec);
    auto again = append(large(9, 0));
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->duplicate);
    EXPECT_EQ(again->base, Offset(0));
    EXPECT_EQ(append(from(9, 1000, 2))->base, Offset(1000));
  }
  EXPECT_EQ(code(append(from(9, 1005))), out_of_order_sequence_number);
  EXPECT_EQ(partition->high_watermark(), Offset(1002));
}

TEST_F(RecompressTest, ARetryWhileTheOriginalIsPackedWaitsForIt) {
  pack_with(Codec::gzip);
  stream().hold = true;
  auto original = start_now(large(9, 0));
  auto retry = start_now(large(9, 0));
  settle();
  EXPECT_FALSE(*retry);
  stream().release();
  settle();
  EXPECT_EQ((**retry)->base, Offset(0));
  EXPECT_TRUE((**retry)->duplicate);
  EXPECT_FALSE((**original)->duplicate);
}

TEST_F(RecompressTest, LogAppendTimeIsWrittenIntoWhatIsStored) {
  config.log_append_time = true;
  pack_with(Codec::lz4);
  auto appended = append(large());
  ASSERT_TRUE(appended);
  EXPECT_EQ(stored(0).timestamp_type(), record::TimestampType::log_append_time);
  EXPECT_EQ(stored(0).max_timestamp(), appended->log_append_time_ms);
  EXPECT_EQ(stored(0).codec(), Codec::lz4);
  EXPECT_TRUE(stored(0).crc_ok());
}

TEST_F(RecompressTest, TheLimitHoldsForWhatComesAndForWhatIsStored) {
  config.max_message_bytes = 20'000;
  pack_with(Codec::gzip);
  EXPECT_EQ(code(append(large())), message_too_large);  // as it came, though gzip would make it fit
  EXPECT_EQ(code(append(large().codec(Codec::zstd))), none);
  pack_with(Codec::none);
  EXPECT_EQ(code(append(large().codec(Codec::zstd))), message_too_large);
  EXPECT_EQ(append(plain())->base, Offset(1000));  // a refusal leaves no hole and holds up nobody
}

TEST_F(RecompressTest, BrokenRecordsAreRefusedAsEver) {
  pack_with(Codec::zstd);
  AppendRequest cut = request(large().codec(Codec::gzip));
  cut.records = cut.records.subslice(0, cut.records.size() - 1);
  EXPECT_EQ(code(world.wait(0, partition->append(cut))), invalid_record);
  AppendRequest bad = request(large());
  bad.records.buffer().writable()[100] ^= std::byte{1};
  EXPECT_EQ(code(world.wait(0, partition->append(bad))), corrupt_message);
  EXPECT_EQ(stream().batches.size(), 0u);
}

TEST_F(RecompressTest, AFailedWriteTakesBackWhatIsPackedMeanwhile) {
  pack_with(Codec::gzip);
  stream().failures = {Code::no_space};
  auto first = start_now(from(9, 0));
  auto second = start_now(large(9, 1));
  settle();
  EXPECT_EQ(code(**first), kafka_storage_error);
  EXPECT_EQ(code(**second), kafka_storage_error);
  EXPECT_EQ(append(from(9, 0))->base, Offset(0));
  EXPECT_EQ(append(large(9, 1))->base, Offset(1));
}

TEST_F(RecompressTest, CoordinatorsBatchesKeepTheirCodec) {
  pack_with(Codec::gzip);
  AppendRequest internal = request(plain());
  internal.internal = true;
  ASSERT_TRUE(world.wait(0, partition->append(internal)));
  EXPECT_EQ(stored(0).codec(), Codec::none);
}

TEST_F(RecompressTest, CloseWaitsForWhatIsPacked) {
  pack_with(Codec::gzip);
  auto inside = start_now(large());
  close();
  ASSERT_TRUE(*inside);
  EXPECT_TRUE(code(**inside) == none || code(**inside) == not_leader_or_follower);
}

}  // namespace
}  // namespace paceline::partition
