#include "app/event_line.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace paceline::app {
namespace {

std::string json(std::string_view source, int sequence, std::string_view time,
                 std::string_view more = "") {
  return fmt::format(
      R"({{"specversion":"1.0","id":"{0}-{1}","data":{{"source":"{0}","source_seq":{1},)"
      R"("t_wall":"2026-01-01T00:00:{2}Z","type":"lane.recovered","lane":"1.7","cause_id":"1.7",)"
      R"("topic":null,"value":12.5,"unit":"ms","figures":{{"bytes":8388608,"last_us":1500{3}}}}}}})",
      source, sequence, time, more);
}
EventLine line(std::string_view source, int sequence, std::string_view time) {
  auto event = parse_event(json(source, sequence, time));
  CHECK(event);
  return *event;
}

TEST(EventLine, AnEventIsToldInWords) {
  const auto event = parse_event(json("2.5", 3, "07.250", R"(,"reason":"as it is")"));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->cause, "1.7");
  EXPECT_EQ(event->sequence, 3u);
  EXPECT_EQ(in_words(*event),
            "2026-01-01T00:00:07.250Z  broker 2.5    has read what 1.7 left: 12.50 ms, bytes 8.0 "
            "MiB, last 1.50 ms (as it is)  [1.7]");
}

TEST(EventLine, ATypeThatIsNotKnownIsToldAllTheSame) {
  const auto event = parse_event(
      R"({"id":"1","data":{"source":"1.1","source_seq":1,"t_wall":"2026-01-01T00:00:00Z",)"
      R"("type":"sun.rose","topic":"t","partition":3,"new_field":{"a":[1]}}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(in_words(*event), "2026-01-01T00:00:00Z  broker 1.1    sun.rose t-3");
}

TEST(EventLine, WhatIsNoEventIsRefused) {
  for (
      const char* text :
      {"", "{}", "[]", "x", "null", R"({"id":"1"})", R"({"id":"1","data":{}})",
       R"({"id":1,"data":{"source":"1.1","source_seq":1,"t_wall":"2026-01-01T00:00:00Z","type":"a"}})",
       R"({"id":"1","data":{"source":"1.1","source_seq":1.5,"t_wall":"2026-01-01T00:00:00Z","type":"a"}})",
       R"({"id":"1","data":{"source":"1.1","source_seq":1,"t_wall":"yesterday","type":"a"}})"})
    EXPECT_FALSE(parse_event(text)) << text;
}

TEST(EventLine, TimesAreAbsoluteOrAgo) {
  EXPECT_EQ(parse_time("2026-01-01T00:00:00.123Z", 0), 1'767'225'600'123);
  EXPECT_EQ(parse_time("2026-01-01T00:00:00Z", 0), 1'767'225'600'000);
  EXPECT_EQ(parse_time("2026-01-01T00:00:00.123456789Z", 0), 1'767'225'600'123);
  EXPECT_EQ(parse_time("-90s", 100'000), 10'000);
  EXPECT_EQ(parse_time("-2d", 0), -2 * 86'400'000);
  for (const char* text : {"", "-", "-s", "-1", "-1y", "now", "2026-13-01T00:00:00Z",
                           "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01",
                           "2026-01-01T00:00:00", "2026-01-01T00:00:00xZ", "--1s"})
    EXPECT_FALSE(parse_time(text, 0)) << text;
}

TEST(TimeOrder, BrokersThatAreALittleBehindComeInTheirPlace) {
  TimeOrder order;
  EXPECT_FALSE(order.put(line("1.1", 1, "01.000")));
  EXPECT_FALSE(order.put(line("1.1", 2, "01.400")));
  EXPECT_FALSE(order.put(line("2.1", 1, "01.200")));
  EXPECT_FALSE(order.take(false)) << "somebody may still be behind";
  std::string ids;
  while (auto event = order.take(true)) ids += event->id + " ";
  EXPECT_EQ(ids, "1.1-1 2.1-1 1.1-2 ");
  EXPECT_FALSE(order.put(line("2.1", 2, "09.000")));
  EXPECT_FALSE(order.put(line("1.1", 3, "10.500")));
  const auto oldest = order.take(false);
  ASSERT_TRUE(oldest);
  EXPECT_EQ(oldest->id, "2.1-2");
  EXPECT_FALSE(order.take(false));
}

TEST(TimeOrder, WhatComesTwiceIsDroppedAndWhatIsMissingIsTold) {
  TimeOrder order;
  EXPECT_FALSE(order.put(line("1.1", 4, "01.000"))) << "what was before is not asked for";
  EXPECT_FALSE(order.put(line("1.1", 4, "01.000")));
  EXPECT_FALSE(order.put(line("1.1", 3, "01.000")));
  const auto gap = order.put(line("1.1", 8, "02.000"));
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->source, "1.1");
  EXPECT_EQ(gap->missing, 3u);
  std::string ids;
  while (auto event = order.take(true)) ids += event->id + " ";
  EXPECT_EQ(ids, "1.1-4 1.1-8 ");
}

}  // namespace
}  // namespace paceline::app
