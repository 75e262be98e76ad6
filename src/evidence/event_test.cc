#include "evidence/event.h"

#include <gtest/gtest.h>

namespace paceline::evidence {
namespace {

constexpr std::string_view kFull =
    R"({"run_id":"r7","event_id":"drill-3","source":"drill","source_seq":3,"t_mono_ns":81234567890,)"
    R"("t_wall":"2026-01-01T00:00:00.123Z","clock_err_ns":400000,"plane":"storage",)"
    R"("type":"lane.sealed","lane":"1.7","topic":"orders","partition":3,"leader_epoch":8,)"
    R"("offset":90210,"object_key":"k","request_id":"q","client_id":"c","cause_id":"1.7",)"
    R"("value":41.5,"unit":"ms","figures":{"all":true,"bytes":12,"share":0.5,"words":"as it is"}})";

TEST(Event, IsWrittenAsItWasRead) {
  const auto event = parse_event(kFull);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(to_json(*event), kFull);
  EXPECT_EQ(event->integer("bytes"), 12);
  EXPECT_EQ(event->number("bytes"), 12.0);
  EXPECT_EQ(event->number("share"), 0.5);
  EXPECT_EQ(event->integer("share"), std::nullopt);
  EXPECT_EQ(event->flag("all"), true);
  EXPECT_EQ(event->word("words"), "as it is");
  EXPECT_EQ(event->word("bytes"), "");
}

TEST(Event, WhatIsUnknownIsNullAndNeverAbsent) {
  Event event;
  event.run_id = "r";
  event.event_id = "probe-1";
  event.source = "probe";
  event.source_seq = 1;
  event.t_wall = "2026-01-01T00:00:00Z";
  event.plane = "client";
  event.type = "client.error";
  event.figures["text"] = std::string("a byte that is no text: \xff");
  const std::string json = to_json(event);
  for (const char* name : {"clock_err_ns", "lane", "topic", "partition", "leader_epoch", "offset",
                           "object_key", "request_id", "client_id", "cause_id", "value", "unit"})
    EXPECT_NE(json.find(std::string("\"") + name + "\":null"), std::string::npos) << name;
  EXPECT_TRUE(parse_event(json));
}

TEST(Event, WhatLacksSomethingIsRefusedWithItsName) {
  for (const char* name :
       {"run_id", "event_id", "source", "source_seq", "t_mono_ns", "t_wall", "plane", "type"}) {
    std::string text(kFull);
    text.replace(text.find(std::string("\"") + name + "\""), 2, "\"x");
    const auto event = parse_event(text);
    ASSERT_FALSE(event) << name;
    EXPECT_EQ(event.error().code, Code::corrupt);
    EXPECT_NE(event.error().message.find(name), std::string::npos) << event.error().message;
  }
  for (const char* text : {"", "{}", "[]", "null", "1", "{\"run_id\":", "\xff"})
    EXPECT_FALSE(parse_event(text)) << text;
  std::string text(kFull);
  text.replace(text.find("\"partition\":3"), 13, "\"partition\":9999999999");
  EXPECT_FALSE(parse_event(text));
}

TEST(Event, ATimelineNamesItsDamagedLines) {
  const std::string line(kFull);
  const Timeline timeline = parse_timeline(line + "\nnone\n" + line + "\n" + line.substr(0, 90));
  EXPECT_EQ(timeline.events.size(), 2u);
  EXPECT_EQ(timeline.damaged_lines, (std::vector<uint64_t>{2, 4}));
  EXPECT_TRUE(parse_timeline("").damaged_lines.empty());
}

TEST(Event, ABrokersEventBecomesOneOfTheTimeline) {
  const auto event = parse_broker_event(
      R"({"specversion":"1.0","id":"2.5-118","source":"paceline:2.5","type":"paceline.lane.sealed",)"
      R"("time":"2026-01-01T00:00:00.123Z","datacontenttype":"application/json","data":{)"
      R"("run_id":null,"event_id":"2.5-118","source":"2.5","source_seq":118,"t_mono_ns":77,)"
      R"("t_wall":"2026-01-01T00:00:00.123Z","clock_err_ns":null,"plane":"storage",)"
      R"("type":"lane.sealed","lane":"1.7","topic":null,"partition":null,"leader_epoch":null,)"
      R"("offset":null,"object_key":null,"request_id":null,"client_id":null,"cause_id":"1.7",)"
      R"("value":4.000,"unit":"ms","figures":{"end_position":200}}})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->source, "paceline:2.5");
  EXPECT_EQ(event->event_id, "paceline:2.5-118");
  EXPECT_EQ(event->cause_id, "1.7");
  EXPECT_EQ(event->integer("own_t_mono_ns"), 77);
  EXPECT_EQ(event->integer("end_position"), 200);
  for (const char* text : {"", "{}", R"({"data":1})", R"({"data":{"source":"1.1"}})"})
    EXPECT_FALSE(parse_broker_event(text)) << text;
}

}  // namespace
}  // namespace paceline::evidence
