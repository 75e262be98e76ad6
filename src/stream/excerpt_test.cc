#include "stream/excerpt.h"

#include <gtest/gtest.h>

#include "stream/test_town.h"

namespace paceline::stream {
namespace {

class Excerpts : public testing::Test {
 protected:
  Excerpts() : town(23) {
    for (size_t i = 0; i < Town::kBrokers; ++i) EXPECT_EQ(why(town.start(i)), "");
    town.create(0, kA);
  }
  Stream& at_leader() { return *town.brokers[town.leading(0)]->open.at(0)->stream; }
  void append_uploaded(int count) {
    ASSERT_TRUE(town.append(0, count));
    ASSERT_TRUE(town.upload(town.leading(0)));
  }
  Result<ReadResult> read_at(size_t broker, Slice excerpt, int64_t from, size_t bytes_max = 5000) {
    const ReadRequest request{.from = Offset(from), .bytes_max = bytes_max};
    return town.world.wait(broker * Town::kShards, town.brokers[broker]->storage->read_excerpt(
                                                       town.shard(broker), excerpt, request));
  }
  // Reads on as far as the excerpt goes; what it comes to, everything being as it was written.
  int64_t read_all(size_t broker, const Slice& excerpt, int64_t from) {
    int64_t at = from;
    for (;;) {
      auto some = read_at(broker, excerpt, at, 1 + town.world.random.below(6000));
      EXPECT_TRUE(some) << some.error().to_string();
      if (!some || some->batches.empty()) return at;
      for (const Batch& batch : some->batches) {
        EXPECT_LE(batch.base.value, at);
        EXPECT_EQ(as_text(batch.bytes.bytes()), payload_at(0, batch.base.value));
        at = batch.end().value;
      }
    }
  }
  Town town;
};

TEST_F(Excerpts, AnotherBrokerReadsWhatIsUploadedAndNothingElse) {
  append_uploaded(20);
  append_uploaded(20);
  const int64_t uploaded = town.acknowledged[0];
  ASSERT_TRUE(town.append(0, 5));
  const Slice excerpt = at_leader().excerpt(Offset(0));
  EXPECT_EQ(read_all(kB, excerpt, 0), uploaded);
  EXPECT_EQ(read_all(kC, excerpt, 3), uploaded);
  auto end = read_at(kB, excerpt, uploaded);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->batches.empty());
  EXPECT_EQ(end->end.value, town.acknowledged[0]);
  EXPECT_TRUE(at_leader().excerpt(Offset(uploaded)).empty());
  EXPECT_LT(at_leader().settled().value, uploaded);
  EXPECT_GT(at_leader().settled().value, 0);
}

TEST_F(Excerpts, NothingIsSettledBeforeTwoUploads) {
  EXPECT_EQ(at_leader().settled(), Offset(0));
  append_uploaded(20);
  EXPECT_EQ(at_leader().settled(), Offset(0));
}

TEST_F(Excerpts, WhatItNamesIsReadWhoeverLeadsByNow) {
  append_uploaded(20);
  append_uploaded(20);
  const int64_t uploaded = town.acknowledged[0];
  const Slice excerpt = at_leader().excerpt(Offset(0));
  town.crash(kA);
  town.fence(kA);
  for (size_t i : {kB, kC}) ASSERT_EQ(why(town.take_over(i)), "");
  EXPECT_EQ(read_all(kC, excerpt, 0), uploaded);
  ASSERT_TRUE(town.append(0, 5));
  EXPECT_EQ(read_all(kB, excerpt, 0), uploaded);
}

TEST_F(Excerpts, BelowTheStartNothingIsRead) {
  append_uploaded(40);
  const Slice before = at_leader().excerpt(Offset(0));
  const auto first = read_at(kB, before, 0);
  ASSERT_TRUE(first && !first->batches.empty());
  const int64_t start = first->batches.front().end().value;
  ASSERT_TRUE(town.trim(0, start));
  EXPECT_TRUE(at_leader().excerpt(Offset(start - 1)).empty());
  const Slice after = at_leader().excerpt(Offset(start));
  EXPECT_EQ(read_at(kB, after, start - 1).error().code, Code::out_of_range);
  EXPECT_EQ(read_all(kB, after, start), town.acknowledged[0]);
}

TEST_F(Excerpts, AnExcerptThatDoesNotHoldIsRefused) {
  append_uploaded(20);
  append_uploaded(20);
  const Slice whole = at_leader().excerpt(Offset(0));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(decode_excerpt(whole.subslice(0, size)).error().code, Code::corrupt) << size;
  Excerpt excerpt = *decode_excerpt(whole);
  ASSERT_EQ(excerpt.extents.size(), 2u);
  std::swap(excerpt.extents[0], excerpt.extents[1]);
  EXPECT_EQ(decode_excerpt(encode_excerpt(excerpt)).error().code, Code::corrupt);
  std::swap(excerpt.extents[0], excerpt.extents[1]);
  excerpt.end = excerpt.extents[0].end;
  EXPECT_EQ(decode_excerpt(encode_excerpt(excerpt)).error().code, Code::corrupt);
  // An object that is gone, or another stream's.
  excerpt = *decode_excerpt(whole);
  excerpt.extents[0].object.number += 1000;
  EXPECT_FALSE(read_at(kB, encode_excerpt(excerpt), 0));
  excerpt = *decode_excerpt(whole);
  excerpt.stream = stream_id(7);
  EXPECT_EQ(read_at(kB, encode_excerpt(excerpt), 0).error().code, Code::corrupt);
}

}  // namespace
}  // namespace paceline::stream
