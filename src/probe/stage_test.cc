#include "probe/stage.h"

#include <gtest/gtest.h>

#include "env/test_world.h"
#include "probe/external.h"
#include "probe/producer.h"
#include "probe/reading.h"

// Who plays on the stage, and what is told of them; no library, no process.

namespace paceline::probe {
namespace {

using Row = evidence::LedgerRow;
using Kind = Row::Kind;

class StageTest : public ::testing::Test {
 protected:
  StageTest()
      : stage(world.shard(0), options(),
              {.event = [this](evidence::Event event) { events.push_back(std::move(event)); },
               .row = [this](const Row& row) { rows.push_back(row); }}) {}
  static Options options() {
    Options options;
    options.bootstrap = "a:1";
    options.run_id = "r7";
    options.zone = "z";
    options.topics = {{"p", "", 5, "probe"}, {"x", "", 3, "transfer"}, {"q", "", 2, "probe"}};
    return options;
  }
  static evidence::Run::Client client(std::string name, std::string version) {
    evidence::Run::Client client;
    client.name = std::move(name);
    client.kind = "producer";
    client.version = std::move(version);
    return client;
  }
  std::string types() const {
    std::string all;
    for (const auto& event : events) all += event.type + " " + event.client_id + ";";
    return all;
  }

  env::SimTestWorld world{1};
  std::vector<evidence::Event> events;
  std::vector<Row> rows;
  Stage stage;
};

TEST_F(StageTest, EachLifeIsAClientOfItsOwn) {
  EXPECT_EQ(stage.roster.add(client("producer-1", "2")), 0);
  stage.roster.ended(0);
  stage.roster.ended(0);
  EXPECT_EQ(stage.roster.add(client("producer-1", "2")), 1);
  EXPECT_EQ(types(),
            "client.started producer-1;client.ended producer-1;client.started producer-1/2;");
  EXPECT_EQ(events[0].source, "probe");
  EXPECT_EQ(events[0].word("kind"), "producer");
  EXPECT_FALSE(events[0].t_wall.empty());
}

TEST_F(StageTest, PartitionsAreDealtOutOnceEach) {
  const auto all = parts_of(stage.options, "probe");
  ASSERT_EQ(all.size(), 7u);
  std::vector<Part> dealt;
  for (size_t which = 0; which < 3; ++which)
    for (const Part& part : share_of(all, 11, which, 3)) dealt.push_back(part);
  std::ranges::sort(dealt);
  EXPECT_EQ(dealt, all);
  EXPECT_EQ(share_of(all, 11, 1, 3), share_of(all, 11, 1, 3)) << "the seed decides";
  EXPECT_TRUE(share_of(all, 11, 7, 8).empty());
}

TEST_F(StageTest, ARecordThatIsReadSaysWhoSentIt) {
  const std::string value = evidence::encode_payload({.run_id = "r7",
                                                      .client = 3,
                                                      .partition = 1,
                                                      .seq = 8,
                                                      .key = 2,
                                                      .amount = -4,
                                                      .intended_ns = 50},
                                                     256);
  const Found found{
      .topic = 1, .partition = 1, .offset = 9, .epoch = 2, .broker = 1, .value = value};
  const auto row = row_of(found, "r7", Kind::read, 6, 70);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->client, 3);
  EXPECT_EQ(row->reader, 6);
  EXPECT_EQ(row->seq, 8u);
  EXPECT_EQ(row->offset, 9);
  EXPECT_EQ(row->amount, -4);
  EXPECT_EQ(row->key, 2u);
  EXPECT_EQ(row->epoch, 2);
  EXPECT_EQ(row->intended_ns, 50);
  EXPECT_EQ(row->at_ns, 70);
  EXPECT_FALSE(row->damaged);
  EXPECT_FALSE(row_of(found, "r8", Kind::read, 6, 70)) << "another run's";
}

TEST_F(StageTest, ADamagedRecordIsARowOfNobodys) {
  std::string value = evidence::encode_payload({.run_id = "r7", .partition = 1}, 64);
  value[4] ^= 1;
  const Found found{.topic = 1, .partition = 1, .offset = 9, .value = value};
  const auto row = row_of(found, "r7", Kind::read_back, 6, 70);
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->damaged);
  EXPECT_EQ(row->client, Row::kNone);
  value[4] ^= 1;
  const Found elsewhere{.topic = 1, .partition = 2, .offset = 9, .value = value};
  EXPECT_TRUE(row_of(elsewhere, "r7", Kind::read_back, 6, 70)->damaged);
}

class Outside : public StageTest {
 protected:
  Outside() {
    const auto index = stage.roster.add(client("external-1", ""));
    talk.emplace(stage, index, uint16_t{0}, "external-1");
  }
  std::optional<ExternalTalk> talk;
};

TEST_F(Outside, StartsWhenItHasSaidWhatItIs) {
  EXPECT_EQ(types(), "");
  talk->heard(R"({"type":"hello","library":"franz-go","version":"1"})");
  EXPECT_EQ(types(), "client.started external-1;");
  EXPECT_EQ(stage.roster.all()[0].library, "franz-go");
}

TEST_F(Outside, ItsRecordsAreRowsOfTheLedger) {
  talk->heard(R"({"type":"sent","partition":1,"seq":0,"intended_ns":1,"at_ns":2})");
  talk->heard(R"({"type":"sent","partition":1,"seq":1,"intended_ns":3,"at_ns":4})");
  talk->heard(R"({"type":"acked","partition":1,"seq":0,"offset":5,"intended_ns":1,"at_ns":6})");
  talk->heard(
      R"({"type":"read","client":0,"partition":1,"seq":0,"offset":5,"intended_ns":1,"at_ns":7})");
  EXPECT_EQ(talk->unanswered(), 1u);
  EXPECT_EQ(talk->oldest_ns(), 3);
  talk->over("ended with code 1");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[2].kind, Kind::acked);
  EXPECT_EQ(rows[2].offset, 5);
  EXPECT_EQ(rows[3].reader, 0);
  EXPECT_EQ(rows[4].kind, Kind::unknown);
  EXPECT_EQ(rows[4].seq, 1u);
  EXPECT_EQ(types(), "client.error external-1;client.ended external-1;");
}

TEST_F(Outside, WhatItCannotHaveSeenIsAnErrorOfIts) {
  for (const char* line :
       {"nonsense",
        R"({"type":"acked","partition":1,"seq":0,"offset":5,"intended_ns":1,"at_ns":6})",
        R"({"type":"sent","partition":5,"seq":0,"intended_ns":1,"at_ns":2})",
        R"({"type":"read","client":9,"partition":1,"seq":0,"offset":5,"intended_ns":1,"at_ns":7})"})
    talk->heard(line);
  EXPECT_TRUE(rows.empty());
  EXPECT_EQ(stage.errors, 4);
  EXPECT_EQ(events.at(0).source, "client:external-1");
}

TEST_F(Outside, AClockOfItsOwnIsBroughtToOurs) {
  const int64_t apart = stage.teller.now_ns() + 500'000'000'000;
  talk->heard(fmt::format(R"({{"type":"hello","library":"l","version":"1","clock_ns":{}}})",
                          stage.teller.now_ns() + 500'000'000'000));
  talk->heard(fmt::format(R"({{"type":"sent","partition":1,"seq":0,"intended_ns":{},"at_ns":{}}})",
                          apart + 1, apart + 2));
  EXPECT_EQ(rows.at(0).intended_ns, stage.teller.now_ns() + 1);
  EXPECT_EQ(rows.at(0).at_ns, stage.teller.now_ns() + 2);
}

TEST(Settings, OptionsAreStrongerThanWhatIsOnlyBetter) {
  Options options;
  options.bootstrap = "a:1";
  options.run_id = "r7";
  options.zone = "z";
  options.settings = {{"acks", "1"},
                      {"enable.idempotence", "false"},
                      {"group.id", "mine"},
                      {"bootstrap.servers", "elsewhere"}};
  const auto producer = producer_settings(options, "producer-1");
  EXPECT_FALSE(is_idempotent(producer));
  EXPECT_EQ(acks_of(producer), "1");
  EXPECT_EQ(producer.at("bootstrap.servers"), "a:1");
  EXPECT_EQ(producer.at("client.id"), "producer-1");
  EXPECT_TRUE(is_idempotent(transaction_settings(options, "transfers")));
  const auto member = consumer_settings(options, "consumer-1", group_name(options));
  EXPECT_EQ(member.at("group.id"), "drill-r7");
  EXPECT_EQ(member.at("client.rack"), "z");
  EXPECT_FALSE(member.contains("enable.auto.commit"));
  EXPECT_EQ(consumer_settings(options, "reader-1", "").at("enable.auto.commit"), "false");
}

TEST(Librdkafka, AnOlderOneThanWeRelyOnIsRefused) {
  EXPECT_TRUE(check_librdkafka());
  EXPECT_TRUE(check_librdkafka(0x020f01ff));
  const auto old = check_librdkafka(0x010802ff);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().message,
            "librdkafka 1.8.2 is too old for the load of a drill: it takes 2.0.2");
}

TEST(Wall, IsWrittenAsRfc3339) {
  EXPECT_EQ(rfc3339(1'767'225'600'123), "2026-01-01T00:00:00.123Z");
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
}

}  // namespace
}  // namespace paceline::probe
