#include "history/checker.h"

#include <gtest/gtest.h>

#include <algorithm>

// One small history for each breach; each is fine but for the one thing.

namespace paceline::history {
namespace {

Time at(int64_t ms) {
  return std::chrono::milliseconds(ms);
}
Send sent(Value first, uint32_t count, int64_t base, uint64_t order) {
  Send send;
  send.producer = 1;
  send.first = first;
  send.count = count;
  send.order = order;
  send.base = base;
  send.outcome = base < 0 ? Outcome::unknown : Outcome::ok;
  return send;
}
Poll polled(int64_t from, std::vector<Run> seen, int64_t high_watermark, bool last = false) {
  Poll poll;
  poll.from = from;
  poll.seen = std::move(seen);
  poll.high_watermark = high_watermark;
  poll.log_start = 0;
  poll.last = last;
  return poll;
}
// Values 10, 11, 12 at offsets 0, 1, 2.
void add_sound(History& history) {
  history.add(sent(10, 2, 0, 0), at(1), at(2));
  history.add(sent(12, 1, 2, 1), at(3), at(4));
}
void add_final(History& history) {
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}}, 3, true), at(900), at(901));
}
std::vector<std::string> names(const History& history) {
  std::vector<std::string> names;
  for (const Anomaly& anomaly : check(history)) names.push_back(anomaly.name);
  return names;
}
using Names = std::vector<std::string>;

TEST(Checker, ASoundHistoryHasNothing) {
  History history;
  add_sound(history);
  history.add(sent(20, 1, -1, 2), at(5), at(6));  // nobody knows, nobody saw: fine
  history.add(polled(0, {{0, 10}}, 3), at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, TwoValuesAtOneOffset) {
  History history;
  add_sound(history);
  history.add(sent(20, 1, -1, 2), at(5), at(6));
  history.add(polled(2, {{2, 20}}, 3), at(7), at(8));
  add_final(history);
  const Names found = names(history);
  EXPECT_EQ(found.front(), "inconsistent-offsets");
}

TEST(Checker, OneValueAtTwoOffsets) {
  History history;
  add_sound(history);
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}, {3, 10}}, 4, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"duplicate"});
}

TEST(Checker, ARetryThatIsToldAnotherOffset) {
  History history;
  Send send = sent(10, 3, 0, 0);
  send.repeated_bases = {0, 7};
  history.add(send, at(1), at(2));
  add_final(history);
  EXPECT_EQ(names(history), Names{"wrong-base"});
}

TEST(Checker, AnAcknowledgedValueThatIsGone) {
  History history;
  add_sound(history);
  history.add(sent(13, 1, 3, 2), at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), (Names{"lost-write", "offset-regress"}));
}

TEST(Checker, WhatWasDeletedOnPurposeIsNotLost) {
  History history;
  add_sound(history);
  Poll last = polled(2, {{2, 12}}, 3, true);
  last.log_start = 2;
  history.add(last, at(9), at(10));
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, AValueThatWasReadAndIsGone) {
  History history;
  add_sound(history);
  history.add(sent(20, 1, -1, 2), at(5), at(6));
  history.add(polled(3, {{3, 20}}, 3), at(7), at(8));
  add_final(history);
  EXPECT_EQ(names(history), Names{"read-beyond-durable"});
}

// A send that nobody waits for any more takes effect after the final polls have come to their end.
TEST(Checker, AValueThatComesAfterTheFinalPollsIsNotGone) {
  History history;
  add_sound(history);
  Send late = sent(20, 1, -1, 2);
  late.outcome = Outcome::unknown;
  history.add(late, at(5), at(6));
  add_final(history);
  history.add(polled(3, {{3, 20}}, 3), at(902), at(903));
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, AValueOfAFailedSend) {
  History history;
  add_sound(history);
  Send failed = sent(20, 1, -1, 2);
  failed.outcome = Outcome::fail;
  history.add(failed, at(5), at(6));
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}, {3, 20}}, 4, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"phantom-read"});
}

TEST(Checker, AValueThatNobodySent) {
  History history;
  add_sound(history);
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}, {3, 99}}, 4, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"phantom-read"});
}

TEST(Checker, AnAnswerWithAHole) {
  History history;
  add_sound(history);
  history.add(polled(0, {{0, 10}, {2, 12}}, 3), at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), Names{"poll-skip"});
}

TEST(Checker, AnAnswerThatGoesBack) {
  History history;
  add_sound(history);
  history.add(polled(1, {{1, 11}, {0, 10}}, 3), at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), Names{"nonmonotonic-poll"});
}

TEST(Checker, BatchesOfOneProducerOutOfOrder) {
  History history;
  history.add(sent(10, 2, 1, 0), at(1), at(2));
  history.add(sent(12, 1, 0, 1), at(3), at(4));
  history.add(polled(0, {{0, 12}, {1, 10}, {2, 11}}, 3, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"nonmonotonic-send"});
}

TEST(Checker, AnUnansweredBatchThatLandedTooLate) {
  History history;
  history.add(sent(10, 2, -1, 0), at(1), at(2));
  history.add(sent(12, 1, 0, 1), at(3), at(4));
  history.add(polled(0, {{0, 12}, {1, 10}, {2, 11}}, 3, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"nonmonotonic-send"});
}

TEST(Checker, AHighWatermarkThatFalls) {
  History history;
  add_sound(history);
  history.add(polled(0, {}, 3), at(5), at(6));
  history.add(polled(0, {}, 2), at(7), at(8));
  add_final(history);
  EXPECT_EQ(names(history), Names{"offset-regress"});
}

TEST(Checker, AHighWatermarkBelowWhatWasAcknowledged) {
  History history;
  add_sound(history);
  history.add(polled(0, {}, 2), at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), Names{"offset-regress"});
}

TEST(Checker, TwoReadsAtOnceMayBeToldInAnyOrder) {
  History history;
  add_sound(history);
  history.add(polled(0, {}, 5), at(5), at(8));
  history.add(polled(0, {}, 4), at(6), at(9));
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}}, 5, true), at(900), at(901));
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, ALeaderEpochThatFalls) {
  History history;
  add_sound(history);
  history.add(EpochSeen{0, 4}, at(5), at(6));
  history.add(EpochSeen{0, 3}, at(7), at(8));
  add_final(history);
  EXPECT_EQ(names(history), Names{"epoch-regress"});
}

// What leaders told that follow each other: values 10, 11 under epoch 4, 12 under epoch 6.
Run written(int64_t offset, Value value, int32_t epoch) {
  return {offset, value, 1, epoch};
}
void add_final_of_two_leaders(History& history) {
  Poll last = polled(0, {written(0, 10, 4), written(1, 11, 4), written(2, 12, 6)}, 3, true);
  last.epoch = 6;
  history.add(last, at(900), at(901));
}

TEST(Checker, OneBrokersMetadataMayBeOlderThanAnothersButNeverGoBack) {
  for (bool same : {false, true}) {
    History history;
    add_sound(history);
    const Teller one = history.teller("broker 1");
    const Teller other = history.teller("broker 2");
    history.add(EpochSeen{0, 4, 1, one}, at(5), at(6));
    history.add(EpochSeen{0, 3, 2, same ? one : other}, at(7), at(8));
    add_final(history);
    EXPECT_EQ(names(history), same ? Names{"epoch-regress"} : Names{});
  }
}

TEST(Checker, TwoBrokersThatLeadInOneEpoch) {
  History history;
  add_sound(history);
  history.add(EpochSeen{0, 4, 1, history.teller("broker 1")}, at(5), at(6));
  history.add(EpochSeen{0, 4, 2, history.teller("broker 2")}, at(7), at(8));
  add_final(history);
  EXPECT_EQ(names(history), Names{"epoch-reuse"});
}

TEST(Checker, ARecordOfAnEarlierEpochAboveALaterOne) {
  History history;
  add_sound(history);
  history.add(polled(0, {written(0, 10, 4), written(1, 11, 6), written(2, 12, 4)}, 3, true), at(9),
              at(10));
  EXPECT_EQ(names(history), Names{"epoch-order"});
}

TEST(Checker, ARecordThatWasWrittenUnderTwoEpochs) {
  History history;
  add_sound(history);
  history.add(polled(0, {written(0, 10, 4), written(1, 11, 5)}, 3), at(5), at(6));
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{"epoch-order"});
}

TEST(Checker, AnEpochThatEndsBelowWhatWasWrittenUnderIt) {
  History history;
  add_sound(history);
  history.add(EpochEnd{0, 4, 2, 6, 0}, at(5), at(6));
  history.add(EpochEnd{0, 5, 2, 6, 0}, at(5), at(6));  // nothing was written under it
  history.add(EpochEnd{0, 6, 2, 6, 0}, at(2), at(3));  // still open, and shorter then
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{});
  history.add(EpochEnd{0, 4, 1, 6, history.teller("broker 3")}, at(7), at(8));
  EXPECT_EQ(names(history), Names{"epoch-end"});
}

TEST(Checker, AnEpochThatEndsAboveWhatALaterOneWrote) {
  History history;
  add_sound(history);
  history.add(EpochEnd{0, 4, 3, 5, 0}, at(5), at(6));
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{"epoch-end"});
}

TEST(Checker, ABatchAcknowledgedWhereALaterLeaderHasPutAnother) {
  History history;
  add_sound(history);
  Send fenced = sent(20, 1, 2, 2);
  fenced.epoch = 4;
  fenced.by = history.teller("broker 1");
  history.add(fenced, at(5), at(6));
  add_final_of_two_leaders(history);
  const Names found = names(history);
  EXPECT_NE(std::ranges::find(found, "ack-after-fence"), found.end());
}

TEST(Checker, AFormerLeaderMayNotKnowHowFarALaterOneHasCome) {
  for (int32_t epoch : {4, 6}) {
    History history;
    for (Send send : {sent(10, 2, 0, 0), sent(12, 1, 2, 1)}) {
      send.epoch = 4;  // as its client thought
      history.add(send, at(1), at(2));
    }
    Poll late = polled(0, {written(0, 10, 4)}, 2);
    late.epoch = epoch;
    history.add(late, at(5), at(6));
    add_final_of_two_leaders(history);
    EXPECT_EQ(names(history), epoch == 4 ? Names{} : Names{"offset-regress"});
  }
}

// What a reader knows of the leader may be older than the leader that answers it.
TEST(Checker, WhatALaterLeaderTellsAReaderOfFormerTimesAFormerOneNeedNotKnow) {
  History history;
  for (Send send : {sent(10, 2, 0, 0), sent(12, 1, 2, 1)}) {
    send.epoch = 4;
    history.add(send, at(1), at(2));
  }
  Poll early = polled(0, {written(0, 10, 4)}, 3);
  early.epoch = 2;
  history.add(early, at(3), at(4));
  Poll late = polled(0, {written(0, 10, 4)}, 2);
  late.epoch = 4;
  history.add(late, at(5), at(6));
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{});
}

// A retry: who wrote it stood still before it could say so.
TEST(Checker, WhatALaterLeaderAcknowledgesOfAFormerOnesBatchesOnlyThatOneHasToKnow) {
  History history;
  Send send = sent(10, 2, 0, 0);
  send.epoch = 6;
  history.add(send, at(1), at(2));
  history.add(sent(12, 1, 2, 1), at(7), at(8));
  Poll late = polled(0, {}, 1);
  late.epoch = 4;
  history.add(late, at(5), at(6));
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, ALeaderMustKnowWhatItHasAcknowledgedItself) {
  History history;
  Send send = sent(10, 2, 0, 0);
  send.epoch = 4;
  history.add(send, at(1), at(2));
  history.add(sent(12, 1, 2, 1), at(7), at(8));
  Poll late = polled(0, {}, 1);
  late.epoch = 4;
  history.add(late, at(5), at(6));
  add_final_of_two_leaders(history);
  EXPECT_EQ(names(history), Names{"offset-regress"});
}

TEST(Checker, ACommittedOffsetThatGoesBack) {
  History history;
  add_sound(history);
  history.add(Commit{7, 0, 2, Outcome::ok}, at(5), at(6));
  history.add(CommittedRead{7, 0, 1}, at(7), at(8));
  add_final(history);
  EXPECT_EQ(names(history), Names{"commit-regress"});
}

TEST(Checker, ACommitWithoutAnAnswerMayOrMayNotHold) {
  for (int64_t offset : {2, 3}) {
    History history;
    add_sound(history);
    history.add(Commit{7, 0, 2, Outcome::ok}, at(5), at(6));
    history.add(Commit{7, 0, 3, Outcome::unknown}, at(7), at(8));
    history.add(CommittedRead{7, 0, offset}, at(9), at(10));
    add_final(history);
    EXPECT_EQ(names(history), Names{});
  }
}

TEST(Checker, WhatAClientFoundItself) {
  History history;
  add_sound(history);
  history.add(Violation{0, "a checksum"}, at(5));
  add_final(history);
  EXPECT_EQ(names(history), Names{"violation"});
}

TEST(Checker, ManyOfOneKindAreToldOnlyAFewTimes) {
  History history;
  for (int i = 0; i < 100; ++i) history.add(sent(10 + 2 * i, 1, i, i), at(1), at(2));
  EXPECT_EQ(check(history, 3).size(), 3u);
}

TEST(Checker, RecordsInARowThatShareAFateAreToldAsOne) {
  History history;
  history.add(sent(10, 100, 0, 0), at(1), at(2));
  history.add(polled(50, {{50, 60, 50}}, 100, true), at(9), at(10));
  const std::vector<Anomaly> found = check(history);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "values 10 to 59 acknowledged at offsets 0 to 49, and gone");
  EXPECT_EQ(story_of(found[0], history).size(), 1u);
}

TEST(Checker, ABatchThatIsNotWhereItWasAcknowledged) {
  History history;
  history.add(sent(10, 2, 5, 0), at(1), at(2));
  history.add(polled(0, {{0, 10, 2}}, 7, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"wrong-base"});
}

// As after a batch that was told to have failed in the middle of its producer's row.
TEST(Checker, RecordsOfOneUnansweredSendOutOfOrder) {
  History history;
  history.add(sent(10, 3, -1, 0), at(1), at(2));
  history.add(polled(0, {{0, 11, 2}, {2, 10}}, 3, true), at(9), at(10));
  EXPECT_EQ(names(history), Names{"nonmonotonic-send"});
}

TEST(Checker, ARecordThatAGroupWasNeverGiven) {
  History history;
  add_sound(history);
  Poll member = polled(0, {{0, 10}}, 3);
  member.group = 7;
  history.add(member, at(5), at(6));
  member = polled(2, {{2, 12}}, 3);
  member.group = 7;
  history.add(member, at(7), at(8));
  history.add(Commit{7, 0, 3, Outcome::ok}, at(9), at(10));
  add_final(history);
  EXPECT_EQ(names(history), Names{"group-skip"});
}

TEST(Checker, EventsCountInTheOrderOfTimeInWhateverOrderTheyWereWritten) {
  History history;
  add_sound(history);
  history.add(EpochSeen{0, 4}, at(7), at(8));
  history.add(EpochSeen{0, 3}, at(5), at(6));
  add_final(history);
  EXPECT_EQ(names(history), Names{});
}

TEST(Checker, AHistoryWithoutFinalPollsProvesNothing) {
  History history;
  EXPECT_FALSE(judgeable(history));
  add_sound(history);
  history.add(polled(0, {{0, 10}, {1, 11}, {2, 12}}, 3), at(5), at(6));
  EXPECT_EQ(judgeable(history).error().message, "key 0 was sent to and has no final poll");
  add_final(history);
  EXPECT_TRUE(judgeable(history));
  history.add(sent(11, 1, -1, 2), at(5), at(6));
  EXPECT_EQ(judgeable(history).error().message, "value 11 of key 0 was sent twice");
}

TEST(Checker, AVerdictSaysWhatItRestsOn) {
  History history;
  add_sound(history);
  add_final(history);
  const Counts counts = count(history);
  EXPECT_EQ(counts.keys, 1u);
  EXPECT_EQ(counts.sends[0], 2u);
  EXPECT_EQ(counts.records_acked, 3u);
  EXPECT_EQ(counts.final_records, 3u);
}

}  // namespace
}  // namespace paceline::history
