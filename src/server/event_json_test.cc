#include "server/event_json.h"

#include <gtest/gtest.h>

namespace paceline::server {
namespace {

const Lane kDead{BrokerId(1), Incarnation(7)};
constexpr int64_t kAt = 1'767'225'600'123;  // 2026-01-01T00:00:00.123Z

TEST(EventJson, AnEventIsOneLineWithEverythingItSays) {
  const Event event = Event(Event::Plane::storage, "lane.sealed")
                          .caused_by("1.7")
                          .about(kDead)
                          .took(std::chrono::microseconds(41'250))
                          .with("end_position", uint64_t{90210})
                          .with("torn", false)
                          .with("reason", "why not");
  EXPECT_EQ(
      to_json(event, {"2.5", 118, 81'234'567'890, kAt}),
      R"({"specversion":"1.0","id":"2.5-118","source":"paceline:2.5","type":"paceline.lane.sealed",)"
      R"("time":"2026-01-01T00:00:00.123Z","subject":"1.7","datacontenttype":"application/json",)"
      R"("data":{"run_id":null,"event_id":"2.5-118","source":"2.5","source_seq":118,)"
      R"("t_mono_ns":81234567890,"t_wall":"2026-01-01T00:00:00.123Z","clock_err_ns":null,)"
      R"("plane":"storage","type":"lane.sealed","lane":"1.7","topic":null,"partition":null,)"
      R"("leader_epoch":null,"offset":null,"object_key":null,"request_id":null,"client_id":null,)"
      R"("cause_id":"1.7","value":41.250,"unit":"ms",)"
      R"("figures":{"end_position":90210,"torn":false,"reason":"why not"}}})");
}

TEST(EventJson, APartitionIsTheSubjectOfWhatConcernsIt) {
  const Event event = Event(Event::Plane::control, "leader.moved")
                          .about("orders", 3)
                          .in_epoch(Epoch(8))
                          .up_to(Offset(44));
  const std::string json = to_json(event, {"2.5", 1, 0, kAt});
  EXPECT_NE(json.find(R"("subject":"orders-3")"), std::string::npos);
  EXPECT_NE(json.find(R"("topic":"orders","partition":3,"leader_epoch":8,"offset":44)"),
            std::string::npos);
  EXPECT_NE(json.find(R"("cause_id":null,"value":null,"unit":null,"figures":{})"),
            std::string::npos);
}

TEST(EventJson, WordsOfOthersCannotBreakTheLine) {
  const Event event =
      Event(Event::Plane::control, "x").with("reason", std::string("a\"b\\c\nd\x7f\xff\0e", 11));
  const std::string json = to_json(event, {"2.5", 1, 0, kAt});
  EXPECT_NE(json.find(R"("reason":"a\"b\\c\u000ad??\u0000e")"), std::string::npos) << json;
}

TEST(EventJson, TimesAreWrittenForEverybody) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(kAt), "2026-01-01T00:00:00.123Z");
  EXPECT_EQ(rfc3339(1'709'251'199'999), "2024-02-29T23:59:59.999Z");
}

}  // namespace
}  // namespace paceline::server
