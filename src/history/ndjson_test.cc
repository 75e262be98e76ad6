#include "history/ndjson.h"

#include <gtest/gtest.h>

namespace paceline::history {
namespace {

std::string error_of(std::string_view line) {
  History history;
  Reader reader(history);
  EXPECT_TRUE(reader.line(R"({"paceline-history":1})"));
  auto read = reader.line(line);
  return read ? "" : read.error().message;
}

TEST(Ndjson, WhatIsWrittenIsReadAgain) {
  History history;
  Send send;
  send.producer = 3;
  send.idempotent = false;
  send.key = 2;
  send.first = 9'000'000'000;
  send.count = 5;
  send.order = 7;
  send.outcome = Outcome::ok;
  send.base = 11;
  send.repeated_bases = {11, 12};
  send.epoch = 6;
  send.by = history.teller("broker-2, life 3");
  history.add(send, Time(1), Time(2));
  history.add(Send{}, Time(1), Time(2));
  Poll poll;
  poll.group = 4;
  poll.seen = {{0, 10, 5, 3}, {7, 20, 1}};
  poll.epoch = 4;
  poll.by = history.teller("broker-1, life 1");
  poll.high_watermark = 8;
  poll.log_start = 0;
  poll.last = true;
  history.add(poll, Time(3), Time(4));
  history.add(Poll{}, Time(3), Time(4));
  history.add(Commit{1, 2, 3, Outcome::fail}, Time(5), Time(6));
  history.add(CommittedRead{1, 2, -1}, Time(5), Time(6));
  history.add(EpochSeen{1, 9}, Time(5), Time(6));
  history.add(EpochSeen{1, 9, 2, send.by}, Time(5), Time(6));
  history.add(EpochEnd{1, 8, 70, 9, poll.by}, Time(5), Time(6));
  history.add(Violation{1, "a \"sum\"\\\n"}, Time(7));

  std::string written;
  History again;
  Reader reader(again);
  ASSERT_TRUE(reader.line(R"({"paceline-history":1})"));
  for (const Event& event : history.events()) {
    std::string line = line_of(event, history);
    written += line;
    line.pop_back();
    if (line.find("\"count\":0") != std::string::npos) continue;  // Send{} has no records
    auto read = reader.line(line);
    ASSERT_TRUE(read) << line << ": " << read.error().message;
  }
  std::string rewritten;
  for (const Event& event : again.events()) rewritten += line_of(event, again);
  const size_t hole = written.find("{\"event\":\"send\",\"producer\":0");
  written.erase(hole, written.find('\n', hole) + 1 - hole);
  EXPECT_EQ(rewritten, written);
  EXPECT_EQ(again.violation(again.events().back()).what,
            history.violation(history.events().back()).what);
}

TEST(Ndjson, AMalformedLineIsToldInOneSentence) {
  EXPECT_EQ(error_of("{"), "line 2: the name of a field is missing at column 2");
  EXPECT_EQ(error_of(R"({"event":"send)"), "line 2: the end of a text is missing at column 15");
  EXPECT_EQ(error_of(R"({"event":"send"} x)"),
            "line 2: the end of the line is missing at column 18");
  EXPECT_EQ(error_of(R"({"event":"walk","invoked":1,"told":2})"), "line 2: 'walk' is no event");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":3,"told":2,"key":0,"epoch":1})"),
            "line 2: 'told' is not a number from 3 to 9223372036854775807");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":1,"told":2,"key":0})"),
            "line 2: 'epoch' is missing");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":1,"told":2,"key":0,"epoch":1,"x":2})"),
            "line 2: 'x' is no field of this event");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":1,"told":2,"key":0,"key":0,"epoch":1})"),
            "line 2: 'key' is there twice");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":1,"told":2,"key":99999999999,"epoch":1})"),
            "line 2: 'key' is not a number from 0 to 4294967295");
  EXPECT_EQ(error_of(R"({"event":"epoch","invoked":1.5,"told":2,"key":0,"epoch":1})"),
            "line 2: ',' or '}' is missing at column 29");
  EXPECT_EQ(
      error_of(
          R"({"event":"poll","invoked":1,"told":2,"reader":1,"key":0,"from":0,"runs":[[1,2]]})"),
      "line 2: 'runs' is no array of arrays of 3 numbers");
  EXPECT_EQ(
      error_of(
          R"({"event":"poll","invoked":1,"told":2,"reader":1,"key":0,"from":0,"runs":[[1,2,0]]})"),
      "line 2: [1,2,0] is no run of records");
  EXPECT_EQ(
      error_of(
          R"({"event":"commit","invoked":1,"told":2,"group":1,"key":0,"offset":0,"outcome":"maybe"})"),
      "line 2: 'maybe' is no outcome");
}

TEST(Ndjson, AFileThatIsNoHistoryIsNotRead) {
  History history;
  Reader reader(history);
  EXPECT_EQ(reader.line("{}").error().message, "line 1: the file does not begin as a history");
  reader.begin();
  EXPECT_EQ(reader.line(R"({"paceline-history":2})").error().message,
            "line 1: this is version 2 of the format, and 1 is known");
  reader.begin();
  ASSERT_TRUE(reader.line(R"({"paceline-history":1})"));
  reader.begin();
  EXPECT_FALSE(reader.line(R"({"event":"epoch","invoked":1,"told":2,"key":0,"epoch":1})"));
}

}  // namespace
}  // namespace paceline::history
