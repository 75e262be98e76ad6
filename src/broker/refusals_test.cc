#include "broker/refusals.h"

#include <gtest/gtest.h>

#include "record/records.h"

namespace paceline::broker {
namespace {

using namespace std::chrono_literals;

std::string batch_of(int64_t producer, int32_t sequence) {
  record::BatchBuilder builder;
  if (producer >= 0) builder.producer(record::ProducerId(producer), 0, sequence);
  builder.add("key", "value");
  return *builder.build();
}

TEST(Refusals, TellEachPartitionItsOwnInOrder) {
  const StreamId one{Uuid{}, 1};
  const StreamId other{Uuid{}, 2};
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note(one, as_bytes(batch_of(7, 0)), now);
  refusals.note(other, as_bytes(batch_of(7, 40)), now);
  refusals.note(one, as_bytes(batch_of(7, 1)), now);
  refusals.note(one, as_bytes(batch_of(-1, 0)), now);
  refusals.note(one, as_bytes("no batch"), now);
  const std::vector<Refusal> told = refusals.take(one, now + 1s);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].producer_id, 7);
  EXPECT_EQ(told[0].base_sequence, 0);
  EXPECT_EQ(told[1].base_sequence, 1);
  EXPECT_TRUE(refusals.take(one, now + 1s).empty());
  EXPECT_EQ(refusals.take(other, now + 1s).size(), 1u);
}

TEST(Refusals, AreForgottenWithTheRequestsThatWereOnTheirWay) {
  const StreamId stream{Uuid{}, 1};
  const env::Instant now{100s};
  Refusals refusals;
  refusals.note(stream, as_bytes(batch_of(7, 0)), now);
  EXPECT_TRUE(refusals.take(stream, now + 60s).empty());
}

}  // namespace
}  // namespace paceline::broker
