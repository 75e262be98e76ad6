#include "stream/ahead_book.h"

#include <gtest/gtest.h>

#include <optional>

namespace paceline::stream {
namespace {

StreamId stream(uint32_t index) {
  return {Uuid{{1, 2}}, index};
}

TEST(AheadBook, OneReaderMayHaveAllOfTheRoom) {
  AheadBook book;
  while (book.admits(stream(0), 10, 100)) book.add(stream(0), 10);
  EXPECT_EQ(book.total(), 100u);
}

TEST(AheadBook, ReadersShareTheRoomEvenlyWhoeverComesFirst) {
  AheadBook book;
  for (uint32_t i = 0; i < 4; ++i) book.add(stream(i), 10);
  int own = 1;
  while (book.admits(stream(0), 10, 200)) {
    book.add(stream(0), 10);
    ++own;
  }
  EXPECT_EQ(own, 5);
  EXPECT_TRUE(book.admits(stream(3), 10, 200));
}

TEST(AheadBook, WhoHasNothingAheadGetsABlockWhileThereIsRoom) {
  AheadBook book;
  for (uint32_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(book.admits(stream(i), 10, 100));
    book.add(stream(i), 10);
    EXPECT_FALSE(book.admits(stream(i), 10, 100) && i > 4);
  }
  EXPECT_FALSE(book.admits(stream(10), 10, 100));
}

TEST(AheadBook, ABlockCountsUntilItsPlaceIsGoneWhereverThatWasMoved) {
  auto book = std::make_shared<AheadBook>();
  std::optional<Unread> first(std::in_place, book, stream(0), 30);
  std::optional<Unread> second(std::in_place, book, stream(1), 50);
  std::optional<Unread> moved(std::move(first));
  first.reset();
  EXPECT_EQ(book->total(), 80u);
  moved.reset();
  EXPECT_EQ(book->total(), 50u);
  EXPECT_TRUE(book->admits(stream(1), 50, 100));  // alone again
  second.reset();
  EXPECT_EQ(book->total(), 0u);
}

}  // namespace
}  // namespace paceline::stream
