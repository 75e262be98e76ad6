#include "probe/external_line.h"

#include <gtest/gtest.h>

namespace paceline::probe {
namespace {

using Kind = evidence::LedgerRow::Kind;

template <class What>
What parsed(std::string_view line) {
  auto one = parse_external_line(line);
  EXPECT_TRUE(one) << line;
  return one ? std::get<What>(*one) : What{};
}

TEST(ExternalLine, WhatIsSaidToAClient) {
  EXPECT_EQ(to_line({.bootstrap = "a:1",
                     .topic = "t",
                     .run_id = "r7",
                     .group = "g",
                     .partitions = 3,
                     .client = 9,
                     .interval_ns = 10,
                     .value_bytes = 256}),
            R"({"bootstrap":"a:1","client":9,"group":"g","interval_ns":10,"partitions":3,)"
            R"("run_id":"r7","topic":"t","type":"start","value_bytes":256})"
            "\n");
  EXPECT_EQ(stop_line(), "{\"type\":\"stop\"}\n");
}

TEST(ExternalLine, ARecordIsARow) {
  const auto acked = parsed<RecordLine>(
      R"({"type":"acked","partition":2,"seq":7,"offset":41,"intended_ns":100,"at_ns":120,)"
      R"("broker":3,"new_field":[]})");
  EXPECT_EQ(acked.row.kind, Kind::acked);
  EXPECT_EQ(acked.row.partition, 2);
  EXPECT_EQ(acked.row.seq, 7u);
  EXPECT_EQ(acked.row.offset, 41);
  EXPECT_EQ(acked.row.intended_ns, 100);
  EXPECT_EQ(acked.row.at_ns, 120);
  EXPECT_EQ(acked.row.broker, 3);
  EXPECT_EQ(acked.row.epoch, -1);
  const auto read = parsed<RecordLine>(
      R"({"type":"read","client":4,"partition":0,"seq":0,"offset":0,"intended_ns":1,"at_ns":2})");
  EXPECT_EQ(read.row.client, 4);
  const auto damaged =
      parsed<RecordLine>(R"({"type":"read","partition":0,"offset":5,"at_ns":2,"damaged":true})");
  EXPECT_TRUE(damaged.row.damaged);
  EXPECT_EQ(damaged.row.client, evidence::LedgerRow::kNone);
}

TEST(ExternalLine, TheRest) {
  const auto hello =
      parsed<Hello>(R"({"type":"hello","library":"franz-go","version":"1.17","clock_ns":5})");
  EXPECT_EQ(hello.library, "franz-go");
  EXPECT_EQ(hello.clock_ns, 5);
  EXPECT_TRUE(parsed<ErrorLine>(R"({"type":"error","error":"x","text":"y","fatal":true})").fatal);
  EXPECT_EQ(parsed<RebalancedLine>(R"({"type":"rebalanced","event":"assigned","partitions":3})")
                .partitions,
            3);
  EXPECT_EQ(parsed<RebalancedLine>(R"({"type":"rebalanced","event":"lost","member":"b"})").member,
            "b");
  parsed<Bye>(R"({"type":"bye"})");
}

TEST(ExternalLine, WhatIsNoneIsRefused) {
  for (const char* line :
       {"", "x", "[]", "{}", R"({"type":1})", R"({"type":"sings"})",
        R"({"type":"hello","library":"a"})", R"({"type":"sent","seq":1,"intended_ns":1,"at_ns":1})",
        R"({"type":"sent","partition":0,"seq":-1,"intended_ns":1,"at_ns":1})",
        R"({"type":"sent","partition":0,"seq":1.5,"intended_ns":1,"at_ns":1})",
        R"({"type":"sent","partition":0,"seq":1,"intended_ns":1})",
        R"({"type":"sent","partition":0,"seq":1,"at_ns":1})",
        R"({"type":"sent","partition":4294967296,"seq":1,"intended_ns":1,"at_ns":1})",
        R"({"type":"sent","partition":0,"seq":18446744073709551615,"intended_ns":1,"at_ns":1})",
        R"({"type":"read","partition":0,"seq":1,"offset":3,"intended_ns":1,"at_ns":1})",
        R"({"type":"read","client":1,"partition":0,"seq":1,"intended_ns":1,"at_ns":1})"})
    EXPECT_FALSE(parse_external_line(line)) << line;
}

TEST(Lines, ComeInPieces) {
  Lines lines;
  lines.add("{\"a\"");
  EXPECT_FALSE(lines.next());
  lines.add(":1}\n\n{\"b\"");
  EXPECT_EQ(lines.next(), "{\"a\":1}");
  EXPECT_EQ(lines.next(), "");
  EXPECT_FALSE(lines.next());
  lines.add(":2}\nrest");
  EXPECT_EQ(lines.next(), "{\"b\":2}");
  EXPECT_FALSE(lines.next());
}

TEST(Lines, ALineWithoutAnEndIsCutUp) {
  Lines lines;
  lines.add(std::string(100'000, 'x'));
  EXPECT_EQ(lines.next().value().size(), size_t{64} << 10);
  EXPECT_FALSE(lines.next());
  lines.add("\nnext\n");
  EXPECT_EQ(lines.next().value().size(), 100'000 - (size_t{64} << 10));
  EXPECT_EQ(lines.next(), "next");
}

}  // namespace
}  // namespace paceline::probe
