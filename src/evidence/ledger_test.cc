#include "evidence/ledger.h"

#include <gtest/gtest.h>

namespace paceline::evidence {
namespace {

LedgerRow some_row() {
  LedgerRow row;
  row.kind = LedgerRow::Kind::read;
  row.damaged = true;
  row.client = 0x0102;
  row.reader = 3;
  row.topic = 4;
  row.partition = 5;
  row.epoch = 6;
  row.broker = 7;
  row.error = -185;
  row.seq = 1ull << 40;
  row.offset = 90'210;
  row.intended_ns = 10;
  row.at_ns = 11;
  row.amount = -12;
  row.key = 13;
  return row;
}

TEST(Ledger, ARowIsReadAsItWasWritten) {
  std::string bytes = ledger_header();
  append_row(some_row(), bytes);
  EXPECT_EQ(bytes.size(), 16 + kLedgerRowBytes);
  EXPECT_EQ(bytes.substr(0, 12), std::string("PLDRILL1\1\0\0\0", 12));
  EXPECT_EQ(bytes.substr(16, 4), std::string("\5\2\2\1", 4)) << "little endian";
  const auto ledger = parse_ledger(bytes);
  ASSERT_TRUE(ledger);
  ASSERT_EQ(ledger->rows.size(), 1u);
  const LedgerRow& row = ledger->rows.front();
  EXPECT_TRUE(row.damaged);
  EXPECT_EQ(row.error, -185);
  EXPECT_EQ(row.seq, 1ull << 40);
  EXPECT_EQ(row.amount, -12);
  std::string again = ledger_header();
  append_row(row, again);
  EXPECT_EQ(again, bytes);
}

TEST(Ledger, ADamagedRowIsCountedAndACutOneIsTold) {
  std::string bytes = ledger_header();
  for (int i = 0; i < 3; ++i) append_row(some_row(), bytes);
  for (size_t at = 0; at < kLedgerRowBytes; ++at) {
    std::string damaged = bytes;
    damaged[16 + kLedgerRowBytes + at] ^= 1;
    const auto ledger = parse_ledger(damaged);
    ASSERT_TRUE(ledger);
    EXPECT_EQ(ledger->rows.size(), 2u);
    EXPECT_EQ(ledger->damaged_rows, 1u) << "byte " << at;
  }
  bytes.pop_back();
  const auto cut = parse_ledger(bytes);
  ASSERT_TRUE(cut);
  EXPECT_TRUE(cut->cut);
  EXPECT_EQ(cut->rows.size(), 2u);
}

TEST(Ledger, AKindThatThereIsNotIsDamage) {
  LedgerRow row = some_row();
  row.kind = static_cast<LedgerRow::Kind>(7);
  std::string bytes = ledger_header();
  append_row(row, bytes);
  EXPECT_EQ(parse_ledger(bytes)->damaged_rows, 1u);
}

TEST(Ledger, WhatBeginsOtherwiseIsRefused) {
  std::string later = ledger_header();
  later[8] = 2;
  for (const std::string& bytes : {std::string(), std::string("PLDRILL1"), later}) {
    const auto ledger = parse_ledger(bytes);
    ASSERT_FALSE(ledger);
    EXPECT_EQ(ledger.error().code, Code::corrupt);
  }
}

TEST(Payload, SaysWhatItIsAndIsPadded) {
  const Payload payload{"r7", 2, 3, 4, 5, -6, 7};
  const std::string value = encode_payload(payload, 256);
  EXPECT_EQ(value.size(), 256u);
  EXPECT_EQ(value.substr(0, 16), "r7|2|3|4|5|-6|7|");
  const auto read = decode_payload(value);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->run_id, "r7");
  EXPECT_EQ(read->client, 2);
  EXPECT_EQ(read->partition, 3);
  EXPECT_EQ(read->seq, 4u);
  EXPECT_EQ(read->key, 5u);
  EXPECT_EQ(read->amount, -6);
  EXPECT_EQ(read->intended_ns, 7);
  EXPECT_TRUE(decode_payload(encode_payload(payload, 0)));
}

TEST(Payload, AChangedByteIsFound) {
  const std::string value = encode_payload({"r7", 2, 3, 4, 5, -6, 7}, 0);
  for (size_t at = 0; at + 1 < value.size(); ++at) {
    std::string damaged = value;
    damaged[at] = damaged[at] == '1' ? '2' : '1';
    EXPECT_FALSE(decode_payload(damaged)) << damaged;
    EXPECT_FALSE(decode_payload(value.substr(0, at))) << "cut at " << at;
  }
  EXPECT_FALSE(decode_payload("an order of somebody else"));
}

}  // namespace
}  // namespace paceline::evidence
