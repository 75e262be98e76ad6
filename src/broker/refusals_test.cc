#include "broker/refusals.h"

#include <gtest/gtest.h>

#include "record/records.h"

namespace paceline::broker {
namespace {

using namespace std::chrono_literals;

std::string batch_of(int64_t producer, int32_t sequence, int16_t epoch = 0) {
  record::BatchBuilder builder;
  if (producer >= 0) builder.producer(record::ProducerId(producer), epoch, sequence);
  builder.add("key", "value");
  return *builder.build();
}

TEST(Refusals, TellEachPartitionTheFirstBatchOfEachOfItsProducers) {
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note("t", 1, as_bytes(batch_of(7, 3)), now);
  refusals.note("t", 2, as_bytes(batch_of(7, 40)), now);
  refusals.note("t", 1, as_bytes(batch_of(7, 1)), now);
  refusals.note("t", 1, as_bytes(batch_of(7, 2)), now);
  refusals.note("t", 1, as_bytes(batch_of(8, 5)), now);
  refusals.note("t", 1, as_bytes(batch_of(-1, 0)), now);
  refusals.note("t", 1, as_bytes("no batch"), now);
  refusals.note("u", 1, as_bytes(batch_of(7, 9)), now);
  const std::vector<Refusal> told = refusals.of("t", 1, now + 1s);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].producer_id, 7);
  EXPECT_EQ(told[0].base_sequence, 1);
  EXPECT_EQ(told[1].producer_id, 8);
  EXPECT_EQ(told[1].base_sequence, 5);
  EXPECT_EQ(refusals.of("t", 1, now + 1s).size(), 2u) << "it may go elsewhere and come back";
  EXPECT_EQ(refusals.of("t", 2, now + 1s).size(), 1u);
}

TEST(Refusals, TheFirstOneIsKeptForAsLongAsItsProducerTriesAgain) {
  Refusals refusals;
  const env::Instant began{100s};
  env::Instant now = began;
  for (; now < began + 60s; now = now + 50ms)
    for (int32_t sequence = 0; sequence < 500; sequence += 100)
      refusals.note("t", 1, as_bytes(batch_of(7, sequence)), now);
  // In the middle of a row.
  for (int32_t sequence = 0; sequence < 200; sequence += 100)
    refusals.note("t", 1, as_bytes(batch_of(7, sequence)), now);
  const std::vector<Refusal> told = refusals.of("t", 1, now);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].base_sequence, 0);
}

TEST(Refusals, TellWhereAProducerHasToBegin) {
  const env::Instant now{100s};
  Refusals refusals;
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(7, 3)), now), -1);
  refusals.note("t", 1, as_bytes(batch_of(7, 1)), now);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(7, 3)), now), 1);
  EXPECT_EQ(refusals.awaited("t", 2, as_bytes(batch_of(7, 3)), now), -1);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(8, 3)), now), -1);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(7, 3, 1)), now), -1);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(-1, 0)), now), -1);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(7, 3)), now + 5min), -1);
}

TEST(Refusals, ANewEpochBeginsAnew) {
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note("t", 1, as_bytes(batch_of(7, 5)), now);
  refusals.note("t", 1, as_bytes(batch_of(7, 9, 1)), now);
  refusals.note("t", 1, as_bytes(batch_of(7, 3)), now);
  const std::vector<Refusal> told = refusals.of("t", 1, now);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].producer_epoch, 1);
  EXPECT_EQ(told[0].base_sequence, 9);
}

TEST(Refusals, AreForgottenWithTheRequestsThatWereOnTheirWay) {
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note("t", 1, as_bytes(batch_of(7, 0)), now);
  EXPECT_TRUE(refusals.of("t", 1, now + 5min).empty());
}

// A request waits for its partition for 30 s at most, and was read late by a broker that stood
// still.
TEST(Refusals, AreRememberedWhileWhatWasSentBehindThemWaits) {
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note("t", 1, as_bytes(batch_of(7, 0)), now);
  EXPECT_EQ(refusals.awaited("t", 1, as_bytes(batch_of(7, 3)), now + 60s), 0);
  EXPECT_EQ(refusals.of("t", 1, now + 60s).size(), 1u);
}

TEST(Refusals, HaveABoundAndMakeRoomByForgettingWhatIsOld) {
  const env::Instant now{100s};
  Refusals refusals;
  for (int64_t producer = 0; producer < 50'001; ++producer)
    refusals.note("t", 1, as_bytes(batch_of(producer, 0)), now);
  EXPECT_EQ(refusals.of("t", 1, now).size(), 50'000u);
  refusals.note("t", 2, as_bytes(batch_of(7, 0)), now + 5min);
  EXPECT_EQ(refusals.of("t", 2, now + 5min).size(), 1u);
}

}  // namespace
}  // namespace paceline::broker
