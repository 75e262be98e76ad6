#include <gtest/gtest.h>

#include "probe/complaints.h"
#include "probe/lag_book.h"
#include "probe/overhead.h"
#include "probe/storm_book.h"
#include "probe/tally.h"

// What the load counts: answers, lag, errors, overhead, rounds of the storm.

namespace paceline::probe {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
using Row = evidence::LedgerRow;

Row answer(Row::Kind kind, int64_t at_ns) {
  Row row;
  row.kind = kind;
  row.at_ns = at_ns;
  return row;
}

TEST(Tally, TheShareOfErrorsIsThatOfTheLastTenSeconds) {
  Tally tally;
  EXPECT_EQ(tally.errors_share(0), 0);
  tally.count(answer(Row::Kind::sent, kSecond));
  tally.count(answer(Row::Kind::failed, kSecond));
  tally.count(answer(Row::Kind::acked, 2 * kSecond));
  tally.count(answer(Row::Kind::acked, 3 * kSecond));
  tally.count(answer(Row::Kind::unknown, 3 * kSecond));
  EXPECT_DOUBLE_EQ(tally.errors_share(3 * kSecond), 0.5);
  EXPECT_DOUBLE_EQ(tally.errors_share(11 * kSecond), 1.0 / 3) << "the first one is forgotten";
  EXPECT_EQ(tally.errors_share(60 * kSecond), 0);
  EXPECT_EQ(tally.sent(), 1u);
  EXPECT_EQ(tally.acked(), 2u);
  EXPECT_EQ(tally.failed(), 2u);
  tally.count(answer(Row::Kind::acked, 13 * kSecond));
  tally.count(answer(Row::Kind::failed, 3 * kSecond));
  EXPECT_EQ(tally.errors_share(13 * kSecond), 0) << "told too late for its second";
}

TEST(Tally, WhatWeGiveUpOurselvesIsNoErrorOfTheCluster) {
  Tally tally;
  tally.count(answer(Row::Kind::acked, kSecond));
  tally.given_up();
  EXPECT_EQ(tally.errors_share(kSecond), 0);
  EXPECT_EQ(tally.failed(), 1u);
}

TEST(LagBook, IsWhatIsAcknowledgedAndNotRead) {
  LagBook book;
  book.expect("group", {{0, 0}, {0, 1}});
  book.expect("reader", {{0, 1}});
  book.acknowledged({0, 0}, 4);
  book.acknowledged({0, 1}, 9);
  book.acknowledged({1, 0}, 99);
  EXPECT_EQ(book.lag("group"), 15);
  EXPECT_EQ(book.lag("reader"), 10);
  book.read("group", {0, 1}, 9);
  book.read("group", {0, 1}, 3);
  EXPECT_EQ(book.lag("group"), 5) << "a member that reads again does not bring back lag";
  book.read("reader", {0, 1}, 20);
  EXPECT_EQ(book.lag("reader"), 0) << "read before its answer came";
  EXPECT_EQ(book.lag("nobody"), 0);
  EXPECT_EQ(book.lag(), 5);
}

TEST(Complaints, TheSameErrorIsToldOnceASecondWithItsNumber) {
  Complaints complaints;
  EXPECT_EQ(complaints.tell("a", "_TRANSPORT", 0), 1);
  EXPECT_FALSE(complaints.tell("a", "_TRANSPORT", 10));
  EXPECT_FALSE(complaints.tell("a", "_TRANSPORT", kSecond - 1));
  EXPECT_EQ(complaints.tell("b", "_TRANSPORT", 20), 1);
  EXPECT_EQ(complaints.tell("a", "_RESOLVE", 20), 1);
  EXPECT_EQ(complaints.tell("a", "_TRANSPORT", kSecond), 3);
  EXPECT_EQ(complaints.tell("a", "_TRANSPORT", 2 * kSecond), 1);
}

TEST(Percentile, IsAValueThatIsThere) {
  EXPECT_FALSE(percentile({}, 0.99));
  EXPECT_EQ(percentile({7}, 0.99), 7);
  std::vector<int64_t> hundred;
  for (int64_t i = 100; i >= 1; --i) hundred.push_back(i);
  EXPECT_EQ(percentile(hundred, 0.99), 99);
  EXPECT_EQ(percentile(hundred, 0.5), 50);
  EXPECT_EQ(percentile(hundred, 1), 100);
  EXPECT_EQ(percentile(hundred, 0), 1);
}

TEST(Overhead, IsTheRatioOfTheTwoP99) {
  Overhead overhead;
  overhead.took(1);
  overhead.begin(Overhead::Beside::nobody);
  for (int i = 0; i < 400; ++i) overhead.took(i < 390 ? 2'000'000 : i * 10'000);
  overhead.end();
  overhead.took(9'000'000'000);
  evidence::Event half;
  overhead.tell(half);
  EXPECT_FALSE(half.value) << "nothing to compare with";
  overhead.begin(Overhead::Beside::probes);
  for (int i = 0; i < 298; ++i) overhead.took(i < 290 ? 3'000'000 : 7'900'000);
  evidence::Event few;
  overhead.tell(few);
  EXPECT_FALSE(few.value) << "no p99 of so few";
  EXPECT_FALSE(few.figures.contains("with_us"));
  EXPECT_EQ(few.figures["with_max_us"], evidence::Figure(int64_t{7'900}));
  overhead.took(3'000'000);
  overhead.end();
  evidence::Event event;
  overhead.tell(event);
  EXPECT_DOUBLE_EQ(event.value.value(), 2);
  EXPECT_EQ(event.figures["without_us"], evidence::Figure(int64_t{3'950}));
  EXPECT_EQ(event.figures["without_most_us"], evidence::Figure(int64_t{3'990}));
  EXPECT_EQ(event.figures["with_us"], evidence::Figure(int64_t{7'900}));
  EXPECT_EQ(event.figures["with_least_us"], evidence::Figure(int64_t{7'900}));
  EXPECT_EQ(event.figures["samples"], evidence::Figure(int64_t{299}));
}

TEST(StormBook, ARoundTakesAsLongAsItsLastClient) {
  StormBook book(kSecond, {{"a"}, {"b", true}});
  book.back("a", kSecond + 50'000'000);
  book.back("a", kSecond + 90'000'000);
  EXPECT_FALSE(book.all_back());
  book.back("b", kSecond + 70'000'000);
  EXPECT_TRUE(book.all_back());
  evidence::Event event;
  book.tell(event, 3, 9 * kSecond);
  EXPECT_DOUBLE_EQ(event.value.value(), 70);
  EXPECT_EQ(event.figures["p50_ms"], evidence::Figure(50.0));
  EXPECT_FALSE(event.figures.contains("p99_ms")) << "of two clients";
  EXPECT_EQ(event.word("slowest"), "b");
  EXPECT_EQ(event.figures["without_groups_ms"], evidence::Figure(50.0));
  EXPECT_EQ(event.figures["clients"], evidence::Figure(int64_t{2}));
  EXPECT_EQ(event.figures["errors"], evidence::Figure(int64_t{3}));
  EXPECT_EQ(event.figures["lost"], evidence::Figure(int64_t{0}));
}

TEST(StormBook, WhoDoesNotComeBackCountsWithAllTheTimeThereWas) {
  StormBook book(kSecond, {{"a"}, {"b", true}});
  book.back("a", kSecond + 50'000'000);
  evidence::Event event;
  book.tell(event, 0, 3 * kSecond);
  EXPECT_DOUBLE_EQ(event.value.value(), 2'000);
  EXPECT_EQ(event.figures["lost"], evidence::Figure(int64_t{1}));
}

}  // namespace
}  // namespace paceline::probe
