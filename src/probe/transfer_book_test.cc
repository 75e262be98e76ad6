#include "probe/transfer_book.h"

#include <gtest/gtest.h>

namespace paceline::probe {
namespace {

using Row = evidence::LedgerRow;
using Kind = Row::Kind;

Row leg(Kind kind, uint64_t seq, int64_t amount, int64_t offset = -1, int64_t intended_ns = 0) {
  Row row;
  row.kind = kind;
  row.seq = seq;
  row.key = amount < 0 ? 1 : 2;
  row.amount = amount;
  row.offset = offset;
  row.intended_ns = intended_ns;
  return row;
}

TEST(TransferBook, AWholeTransferSumsUpToNothing) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::sent, 1, 5));
  book.wrote(leg(Kind::acked, 0, -5, 10));
  book.wrote(leg(Kind::acked, 1, 5, 11));
  EXPECT_EQ(book.behind(), 2u);
  book.read(leg(Kind::read, 0, -5, 10));
  EXPECT_EQ(book.sum(), -5) << "half of it is read";
  EXPECT_EQ(book.expected(), -5);
  EXPECT_EQ(book.behind(), 1u);
  book.read(leg(Kind::read, 1, 5, 11));
  EXPECT_EQ(book.sum(), 0);
  EXPECT_EQ(book.expected(), 0);
  EXPECT_EQ(book.behind(), 0u);
  EXPECT_EQ(book.balance(1), -5);
  EXPECT_EQ(book.balance(2), 5);
}

TEST(TransferBook, ReadBeforeTheAnswerIsNoError) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.read(leg(Kind::read, 0, -5, 10));
  book.wrote(leg(Kind::acked, 0, -5, 10));
  EXPECT_EQ(book.sum(), book.expected());
  EXPECT_EQ(book.behind(), 0u);
  EXPECT_FALSE(book.oldest_ns());
}

TEST(TransferBook, AnAcknowledgedLegThatTheReaderPassedIsMissed) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::sent, 1, 5));
  book.wrote(leg(Kind::acked, 0, -5, 10));
  book.wrote(leg(Kind::acked, 1, 5, 11));
  book.read(leg(Kind::read, 1, 5, 11));
  EXPECT_EQ(book.sum(), 5);
  EXPECT_EQ(book.expected(), 0);
}

TEST(TransferBook, SoIsOneWhoseAnswerComesAfterTheReaderPassed) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::sent, 1, 5));
  book.read(leg(Kind::read, 1, 5, 11));
  book.wrote(leg(Kind::acked, 0, -5, 10));
  EXPECT_EQ(book.sum(), 5);
  EXPECT_EQ(book.expected(), 0);
}

TEST(TransferBook, ADoubledLegCountsTwiceInWhatIsThereAlone) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::acked, 0, -5, 10));
  book.read(leg(Kind::read, 0, -5, 10));
  book.read(leg(Kind::read, 0, -5, 10));
  EXPECT_EQ(book.sum(), -5) << "the same place again is the reader's doing";
  book.read(leg(Kind::read, 0, -5, 11));
  EXPECT_EQ(book.sum(), -10);
  EXPECT_EQ(book.expected(), -5);
}

TEST(TransferBook, WhatFailedForCertainMustNotBeThere) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::failed, 0, -5));
  EXPECT_FALSE(book.oldest_ns());
  book.read(leg(Kind::read, 0, -5, 10));
  EXPECT_EQ(book.sum(), -5);
  EXPECT_EQ(book.expected(), 0);
}

TEST(TransferBook, WhatMayBeThereCountsIfItIs) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.wrote(leg(Kind::unknown, 0, -5));
  EXPECT_FALSE(book.oldest_ns()) << "nobody waits for it";
  book.read(leg(Kind::read, 0, -5, 10));
  EXPECT_EQ(book.sum(), -5);
  EXPECT_EQ(book.expected(), -5);
}

TEST(TransferBook, AChangedAmountIsSeen) {
  TransferBook book;
  book.wrote(leg(Kind::sent, 0, -5));
  book.read(leg(Kind::read, 0, -6, 10));
  EXPECT_EQ(book.sum(), -6);
  EXPECT_EQ(book.expected(), -5);
}

TEST(TransferBook, IsAsStaleAsItsOldestLegUnderWay) {
  TransferBook book;
  EXPECT_FALSE(book.oldest_ns());
  book.wrote(leg(Kind::sent, 0, -5, -1, 100));
  book.wrote(leg(Kind::sent, 1, 5, -1, 200));
  EXPECT_EQ(book.oldest_ns(), 100);
  book.wrote(leg(Kind::acked, 0, -5, 10, 100));
  EXPECT_EQ(book.oldest_ns(), 100) << "acknowledged, but nobody has seen it";
  book.read(leg(Kind::read, 0, -5, 10, 100));
  EXPECT_EQ(book.oldest_ns(), 200);
}

}  // namespace
}  // namespace paceline::probe
