#include "stream/log_cache.h"

#include <gtest/gtest.h>

namespace paceline::stream {
namespace {

Batch batch(int64_t base, uint32_t count) {
  Batch made;
  made.base = Offset(base);
  made.count = count;
  return made;
}

TEST(BatchRun, FindsTheBatchThatHoldsAnOffset) {
  BatchRun run;
  for (int64_t base = 100; base < 400; base += 3) run.push(batch(base, 3), 10);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(run.pop_front(), 10u);
  EXPECT_EQ(run.size(), 40u);
  EXPECT_EQ(run.charge(), 400u);
  EXPECT_EQ(run.front().base, Offset(280));
  for (int64_t offset = 280; offset < 400; ++offset)
    EXPECT_EQ(run.at(run.find(Offset(offset))).base.value, offset - (offset - 280) % 3);
  EXPECT_EQ(run.find(Offset(279)), run.size());
  EXPECT_EQ(run.find(Offset(400)), run.size());
}

TEST(CacheOrder, CountsWhatASliceKeepsInMemory) {
  CacheOrder order(1);
  const Buffer block = Buffer::allocate(10'000);
  auto part = [&](size_t from, size_t bytes) {
    return Slice(block, block.bytes().subspan(from, bytes));
  };
  EXPECT_EQ(order.charge_of(part(100, 50)), 150u);    // with the header before it
  EXPECT_EQ(order.charge_of(part(4096, 10)), 3956u);  // with the padding of the group before
  EXPECT_EQ(order.charge_of(part(4106, 10)), 10u);
  const Buffer next = Buffer::allocate(10'000);
  EXPECT_EQ(order.charge_of(Slice(next, next.bytes().first(10))), 10u);
}

}  // namespace
}  // namespace paceline::stream
