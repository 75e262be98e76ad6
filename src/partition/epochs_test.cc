#include "partition/epochs.h"

#include <gtest/gtest.h>

namespace paceline::partition {
namespace {

EpochHistory history() {
  EpochHistory made;
  made.begin(Epoch(0), Offset(0));
  made.begin(Epoch(3), Offset(10));
  made.begin(Epoch(5), Offset(10));  // nothing was written in 3
  made.begin(Epoch(6), Offset(20));
  return made;
}
void expect_end(const EpochHistory& made, int32_t asked, int32_t epoch, int64_t end) {
  const EpochEnd found = made.end_of(Epoch(asked), Offset(25));
  EXPECT_EQ(found.epoch, Epoch(epoch)) << asked;
  EXPECT_EQ(found.end, Offset(end)) << asked;
}

TEST(EpochHistory, AnswersAsKafkaDoes) {
  const EpochHistory made = history();
  expect_end(made, 0, 0, 10);
  expect_end(made, 2, 0, 10);
  expect_end(made, 3, 0, 10);
  expect_end(made, 5, 5, 20);
  expect_end(made, 6, 6, 25);
  expect_end(made, 7, -1, -1);
  expect_end(made, -1, -1, -1);
}

TEST(EpochHistory, AnEpochBelowAllEndsWhereTheFirstStarts) {
  EpochHistory made = history();
  made.prune(Offset(12));
  EXPECT_EQ(made.entries().front().epoch, Epoch(5));
  expect_end(made, 2, 2, 10);
  EXPECT_EQ(made.at(Offset(12)), Epoch(5));
  EXPECT_EQ(made.at(Offset(24)), Epoch(6));
}

TEST(EpochHistory, AnOlderEpochNeverBegins) {
  EpochHistory made = history();
  made.begin(Epoch(6), Offset(24));
  made.begin(Epoch(2), Offset(24));
  EXPECT_EQ(made.entries(), history().entries());
}

TEST(EpochHistory, ASnapshotHoldsWhatIsBelowItsEnd) {
  Encoder encoder;
  history().encode(encoder, Offset(20));
  Decoder decoder(encoder.str());
  const EpochHistory read = EpochHistory::decode(decoder);
  ASSERT_TRUE(decoder.done());
  EXPECT_EQ(read.last(), Epoch(5));
  EXPECT_EQ(read.entries().size(), 2u);
}

TEST(EpochHistory, DamageIsToldAndNeverTrusted) {
  Encoder encoder;
  encoder.varint(2).put(Epoch(5)).put(Offset(0)).put(Epoch(4)).put(Offset(9));
  Decoder decoder(encoder.str());
  EpochHistory::decode(decoder);
  EXPECT_FALSE(decoder.ok());
  for (size_t size = 0; size < encoder.size(); ++size) {
    Decoder cut(std::string_view(encoder.str()).substr(0, size));
    EpochHistory::decode(cut);
    EXPECT_FALSE(cut.ok());
  }
}

}  // namespace
}  // namespace paceline::partition
