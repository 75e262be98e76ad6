#include "record/producer_state.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "record/records.h"

namespace paceline::record {
namespace {

BatchFacts batch(int64_t pid, int16_t epoch, int32_t base_sequence, int32_t count = 1) {
  BatchFacts facts;
  facts.producer_id = ProducerId(pid);
  facts.producer_epoch = epoch;
  facts.base_sequence = base_sequence;
  facts.last_sequence = advance_sequence(base_sequence, count - 1);
  facts.record_count = count;
  facts.last_offset_delta = count - 1;
  return facts;
}
BatchFacts marker(int64_t pid, int16_t epoch) {
  BatchFacts facts = batch(pid, epoch, 0);
  facts.base_sequence = facts.last_sequence = kNoSequence;
  facts.control = facts.transactional = true;
  return facts;
}

// A verdict in a word, to compare.
std::string word(const ProducerState::Verdict& verdict) {
  if (std::holds_alternative<ProducerState::Accept>(verdict)) return "accept";
  if (const auto* duplicate = std::get_if<ProducerState::Duplicate>(&verdict))
    return "duplicate " + std::to_string(duplicate->base_offset.value) + " " +
           std::to_string(duplicate->last_offset.value) + " " +
           std::to_string(duplicate->append_time_ms);
  const auto& refused = std::get<ProducerState::Refused>(verdict);
  return std::string(kafka_error_name(refused.failure.code)) + " " +
         std::to_string(refused.last_offset.value);
}

struct Log {
  ProducerState state;
  // Asks, and writes if accepted.
  std::string write(const BatchFacts& facts, int64_t time = 0) {
    const std::string answer = word(state.check(facts));
    if (answer == "accept") state.apply(facts, state.end(), time);
    return answer;
  }
};

TEST(ProducerState, AnExactRetryOfTheLastFiveGetsItsFirstAnswer) {
  Log log;
  for (int i = 0; i < 7; ++i) EXPECT_EQ(log.write(batch(1, 0, i * 10, 10), 100 + i), "accept");
  for (int i = 2; i < 7; ++i)
    EXPECT_EQ(log.write(batch(1, 0, i * 10, 10)), "duplicate " + std::to_string(i * 10) + " " +
                                                      std::to_string(i * 10 + 9) + " " +
                                                      std::to_string(100 + i));
  EXPECT_EQ(log.write(batch(1, 0, 10, 10)), "OUT_OF_ORDER_SEQUENCE_NUMBER 69") << "sixth";
  EXPECT_EQ(log.write(batch(1, 0, 60, 9)), "OUT_OF_ORDER_SEQUENCE_NUMBER 69") << "not the same";
  EXPECT_EQ(log.write(batch(1, 0, 71)), "OUT_OF_ORDER_SEQUENCE_NUMBER 69") << "gap";
  EXPECT_EQ(log.write(batch(1, 0, 70)), "accept");
}

TEST(ProducerState, UnknownProducersStartAnywhereAndOthersAreNotAsked) {
  Log log;
  EXPECT_EQ(log.write(batch(1, 5, 1234)), "accept");
  EXPECT_EQ(log.write(batch(2, 0, 0)), "accept");
  BatchFacts plain = batch(-1, -1, -1);
  plain.last_sequence = -1;
  EXPECT_EQ(log.write(plain), "accept");
  EXPECT_EQ(log.write(plain), "accept");
  EXPECT_EQ(log.state.producer_count(), 2u);
}

TEST(ProducerState, ANewEpochStartsAtZeroAndFencesTheOld) {
  Log log;
  EXPECT_EQ(log.write(batch(1, 3, 0)), "accept");
  EXPECT_EQ(log.write(batch(1, 4, 1)), "OUT_OF_ORDER_SEQUENCE_NUMBER 0");
  EXPECT_EQ(log.write(batch(1, 4, 0)), "accept") << "not the duplicate of epoch 3's";
  EXPECT_EQ(log.write(batch(1, 3, 1)), "INVALID_PRODUCER_EPOCH 1");
  EXPECT_EQ(log.write(batch(1, 3, 0)), "INVALID_PRODUCER_EPOCH 1");
}

TEST(ProducerState, SequencesWrapToZero) {
  Log log;
  EXPECT_EQ(log.write(batch(1, 0, kSequenceMax - 1, 2)), "accept");
  EXPECT_EQ(log.write(batch(1, 0, 0)), "accept");
  Log across;
  EXPECT_EQ(across.write(batch(1, 0, kSequenceMax, 3)), "accept");
  EXPECT_EQ(across.write(batch(1, 0, kSequenceMax, 3)), "duplicate 0 2 0");
  EXPECT_EQ(across.write(batch(1, 0, 2)), "accept");
}

TEST(ProducerState, AMarkerKeepsSequencesAndItsNewEpochRestartsThem) {
  Log log;
  log.write(batch(1, 0, 0, 5));
  log.state.apply(marker(1, 0), log.state.end(), 9);
  EXPECT_EQ(log.write(batch(1, 0, 0, 5)), "duplicate 0 4 0");
  EXPECT_EQ(log.write(batch(1, 0, 5)), "accept");
  log.state.apply(marker(1, 1), log.state.end(), 9);
  EXPECT_EQ(log.write(batch(1, 0, 6)), "INVALID_PRODUCER_EPOCH 7");
  EXPECT_EQ(log.write(batch(1, 1, 6)), "OUT_OF_ORDER_SEQUENCE_NUMBER 7");
  EXPECT_EQ(log.write(batch(1, 1, 0)), "accept");
}

TEST(ProducerState, ASnapshotKnowsNoBatchThatMayBeLost) {
  Log log;
  for (int i = 0; i < 20; ++i) log.write(batch(1, 0, i));
  log.state.durable_up_to(Offset(3));
  auto at_three = ProducerState::decode(as_bytes(log.state.snapshot(Offset(3))));
  ASSERT_TRUE(at_three);
  EXPECT_EQ(word(at_three->check(batch(1, 0, 2))), "duplicate 2 2 0");
  EXPECT_EQ(word(at_three->check(batch(1, 0, 3))), "accept") << "a lost batch's retry is new data";
  EXPECT_EQ(at_three->end(), Offset(3));
  // A batch that only reaches below the end is not in it either.
  Log wide;
  wide.write(batch(1, 0, 0, 10));
  auto half = ProducerState::decode(as_bytes(wide.state.snapshot(Offset(9))));
  EXPECT_EQ(half->producer_count(), 0u);
}

TEST(ProducerState, AFailedAppendIsForgottenAndItsRetryAccepted) {
  Log log;
  for (int i = 0; i < 12; ++i) log.write(batch(1, 0, i));
  log.write(batch(1, 1, 0));
  log.write(batch(2, 0, 0));
  log.state.durable_up_to(Offset(6));
  log.state.forget_from(Offset(6));
  EXPECT_EQ(log.state.end(), Offset(6));
  EXPECT_EQ(log.state.producer_count(), 1u);
  for (int i = 1; i < 6; ++i)
    EXPECT_EQ(log.write(batch(1, 0, i)).substr(0, 9), "duplicate") << "the five before are back";
  EXPECT_EQ(log.write(batch(1, 0, 0)), "OUT_OF_ORDER_SEQUENCE_NUMBER 5");
  EXPECT_EQ(log.write(batch(1, 0, 6)), "accept");
}

TEST(ProducerState, WhatFollowsARefusedFirstBatchWaitsForIt) {
  Log log;
  log.state.refused_for_now(batch(1, 0, 5, 3));
  EXPECT_EQ(log.write(batch(1, 0, 8)), "OUT_OF_ORDER_SEQUENCE_NUMBER -1");
  log.state.refused_for_now(batch(1, 0, 8));  // behind it
  EXPECT_EQ(log.write(batch(1, 0, 9)), "OUT_OF_ORDER_SEQUENCE_NUMBER -1");
  EXPECT_EQ(log.write(batch(2, 0, 8)), "accept") << "somebody else";
  EXPECT_EQ(log.write(batch(1, 1, 0)), "accept") << "a new epoch starts anew";
  log.state.refused_for_now(batch(3, 0, 5, 3));
  EXPECT_EQ(log.write(batch(3, 0, 5, 3)), "accept");
  EXPECT_EQ(log.write(batch(3, 0, 8)), "accept");
  // Whoever remembers refusals may have forgotten the first ones of a row.
  log.state.refused_for_now(batch(4, 0, 8));
  log.state.refused_for_now(batch(4, 0, 5, 3));
  log.state.refused_for_now(batch(4, 0, 8));
  EXPECT_EQ(log.write(batch(4, 0, 8)), "OUT_OF_ORDER_SEQUENCE_NUMBER -1");
  EXPECT_EQ(log.write(batch(4, 0, 5, 3)), "accept");
}

TEST(ProducerState, ARefusedFirstBatchIsTheFirstAroundTheRing) {
  Log log;
  log.state.refused_for_now(batch(1, 0, 2));
  log.state.refused_for_now(batch(1, 0, kSequenceMax));
  EXPECT_EQ(log.write(batch(1, 0, 0)), "OUT_OF_ORDER_SEQUENCE_NUMBER -1");
  EXPECT_EQ(log.write(batch(1, 0, kSequenceMax)), "accept");
  EXPECT_EQ(log.write(batch(1, 0, 0)), "accept");
}

TEST(ProducerState, MemoryDoesNotGrowWithDurableBatches) {
  Log log;
  size_t bytes = 0;
  for (int i = 0; i < 10000; ++i) {
    log.write(batch(1, 0, 2 * i, 2));
    log.state.apply(marker(1, 0), log.state.end(), i);
    log.state.durable_up_to(log.state.end());
    if (i == 100) bytes = log.state.bytes();
  }
  EXPECT_LE(log.state.bytes(), bytes);
}

TEST(ProducerState, IdleProducersExpireByAppendTimeUnlessTheirBatchMayBeTakenBack) {
  Log log;
  log.write(batch(1, 0, 0), 100);
  log.write(batch(2, 0, 0), 200);
  log.write(batch(3, 0, 0), 50);
  log.state.durable_up_to(Offset(2));
  log.state.expire(200);
  EXPECT_EQ(log.state.producers().size(), 2u);
  EXPECT_EQ(log.state.producers()[0].id, ProducerId(2));
  EXPECT_EQ(log.write(batch(1, 0, 77)), "accept");
  log.state.forget_from(Offset(2));
  EXPECT_EQ(log.state.producer_count(), 1u);
}

TEST(ProducerState, TheNumberOfProducersIsBoundedAndTheLongestIdleGo) {
  ProducerState state(100);
  for (int i = 0; i < 1000; ++i) {
    state.apply(batch(i, 0, 0), state.end(), i);
    state.durable_up_to(state.end());
    EXPECT_LE(state.producer_count(), 100u);
  }
  EXPECT_GE(state.producer_count(), 90u);
  EXPECT_EQ(state.producers().back().id, ProducerId(999));
  EXPECT_EQ(word(state.check(batch(999, 0, 0))), "duplicate 999 999 999");
  EXPECT_EQ(word(state.check(batch(0, 0, 0))), "accept");
}

TEST(ProducerState, ReplaysStoredBatchesByTheirHeaders) {
  const std::string stored = *BatchBuilder()
                                  .producer(ProducerId(7), 2, 40)
                                  .add_at(0, "a", "1")
                                  .add_at(9, "b", "2")
                                  .build();  // compacted
  ProducerState state;
  state.apply(facts_of(*BatchView::parse(as_bytes(stored))), Offset(0), 5);
  EXPECT_EQ(word(state.check(batch(7, 2, 40, 10))), "duplicate 0 9 5");
  const std::string end = build_marker({MarkerKind::commit, 1}, ProducerId(7), 2, 6);
  state.apply(facts_of(*BatchView::parse(as_bytes(end))), Offset(10), 6);
  EXPECT_EQ(state.producers()[0].last_sequence, 49);
  EXPECT_EQ(state.producers()[0].last_append_ms, 6);
  EXPECT_EQ(word(state.check(batch(7, 2, 50))), "accept");
}

TEST(ProducerSnapshot, BytesAreAsDocumented) {
  Log log;
  log.write(batch(258, 3, 7, 2), 5);
  EXPECT_EQ(log.state.snapshot(Offset(2)),
            std::string("\0\1"
                        "\0\0\0\0\0\0\0\2"
                        "\1"  // version, end, count
                        "\0\0\0\0\0\0\1\2"
                        "\0\3"
                        "\0\0\0\0\0\0\0\1"
                        "\0\0\0\0\0\0\0\5"
                        "\1"
                        "\0\0\0\7"
                        "\0\0\0\10"
                        "\0\0\0\0\0\0\0\0"
                        "\0\0\0\0\0\0\0\1"
                        "\0\0\0\0\0\0\0\5"
                        "\0"
                        "\0",
                        72));
}

TEST(ProducerSnapshot, ShortOrChangedBytesNeverCrash) {
  Log log;
  for (int i = 0; i < 30; ++i) log.write(batch(i % 4, 0, i / 4), i);
  log.state.apply(marker(2, 1), log.state.end(), 31);
  const std::string good = log.state.snapshot(log.state.end());
  auto back = ProducerState::decode(as_bytes(good));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->snapshot(back->end()), good);
  for (size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_FALSE(ProducerState::decode(as_bytes(good).first(cut))) << cut;
  EXPECT_FALSE(ProducerState::decode(as_bytes(good + "x")));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x81);
    auto state = ProducerState::decode(as_bytes(bad));
    if (state) EXPECT_TRUE(state->snapshot(state->end()) == bad) << at;
  }
  std::string newer = good;
  newer[1] = 2;
  EXPECT_EQ(ProducerState::decode(as_bytes(newer)).error().code, Code::unsupported);
}

// The whole history and nothing clever: what ProducerState must agree with.
class Model {
 public:
  struct Written {
    BatchFacts facts;
    Offset base;
    int64_t time;
    Offset last() const { return base + facts.last_offset_delta; }
  };
  std::vector<Written> log;
  std::map<int64_t, BatchFacts> awaited;  // the first of a producer that was taken back wholly

  void write(Written written) {
    awaited.erase(written.facts.producer_id.value);
    log.push_back(std::move(written));
  }
  void forget_from(Offset cut) {
    std::map<int64_t, BatchFacts> gone;
    for (const Written& written : log)
      if (written.last() >= cut) gone.try_emplace(written.facts.producer_id.value, written.facts);
    std::erase_if(log, [&](const auto& written) { return written.last() >= cut; });
    for (const Written& written : log) gone.erase(written.facts.producer_id.value);
    for (const auto& [pid, facts] : gone)
      if (!facts.control) awaited.insert_or_assign(pid, facts);
  }

  std::string check(const BatchFacts& facts) const {
    std::vector<Written> data;
    std::optional<Written> last;
    for (const Written& written : log) {
      if (written.facts.producer_id != facts.producer_id) continue;
      if (last && last->facts.producer_epoch != written.facts.producer_epoch) data.clear();
      last = written;
      if (!written.facts.control) data.push_back(written);
    }
    if (!last) {
      const auto first = awaited.find(facts.producer_id.value);
      if (first == awaited.end() || first->second.producer_epoch != facts.producer_epoch)
        return "accept";
      int64_t ahead = int64_t{facts.base_sequence} - first->second.base_sequence;
      if (ahead < 0) ahead += int64_t{kSequenceMax} + 1;
      return ahead == 0 || ahead > kSequenceMax / 2 ? "accept" : "OUT_OF_ORDER_SEQUENCE_NUMBER -1";
    }
    const std::string wait = " " + std::to_string(last->last().value);
    if (facts.producer_epoch < last->facts.producer_epoch) return "INVALID_PRODUCER_EPOCH" + wait;
    if (facts.producer_epoch > last->facts.producer_epoch) data.clear();
    for (size_t i = data.size() > 5 ? data.size() - 5 : 0; i < data.size(); ++i)
      if (data[i].facts.base_sequence == facts.base_sequence &&
          data[i].facts.last_sequence == facts.last_sequence)
        return "duplicate " + std::to_string(data[i].base.value) + " " +
               std::to_string(data[i].last().value) + " " + std::to_string(data[i].time);
    int64_t expected = data.empty() ? 0 : int64_t{data.back().facts.last_sequence} + 1;
    if (expected > kSequenceMax) expected = 0;
    return facts.base_sequence == expected ? "accept" : "OUT_OF_ORDER_SEQUENCE_NUMBER" + wait;
  }

  // What somebody who saw just the batches below `end` would write down.
  std::string snapshot(Offset end) const {
    ProducerState state;
    for (const Written& written : log)
      if (written.last() < end) state.apply(written.facts, written.base, written.time);
    state.durable_up_to(end);
    return state.snapshot(end);
  }
};

TEST(ProducerState, AgreesWithANaiveModelThroughFailuresAndSnapshots) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    ProducerState state;
    Model model;
    std::map<int64_t, BatchFacts> latest;  // where each producer is about
    for (int step = 0; step < 300; ++step) {
      const int64_t pid = pick(4);
      BatchFacts facts = batch(pid, 0, kSequenceMax - 20, 1 + pick(3));
      if (latest.contains(pid)) {
        const BatchFacts& last = latest[pid];
        const auto epoch =
            static_cast<int16_t>(last.producer_epoch + (pick(12) == 0) - (pick(40) == 0));
        const int32_t next = last.control ? 0 : advance_sequence(last.last_sequence, 1);
        facts = batch(pid, std::max<int16_t>(epoch, 0), epoch != last.producer_epoch ? 0 : next,
                      1 + pick(3));
        if (pick(8) == 0) facts = batch(pid, facts.producer_epoch, next + pick(3), 1);
        if (pick(6) == 0 && !model.log.empty()) {  // a retry of something recent
          const size_t back = static_cast<size_t>(pick(20)) % model.log.size();
          facts = model.log[model.log.size() - 1 - back].facts;
        }
        if (pick(10) == 0) facts = marker(pid, std::max(epoch, last.producer_epoch));
      }
      const bool write = facts.control || word(state.check(facts)) == "accept";
      if (!facts.control) {
        ASSERT_EQ(word(state.check(facts)), model.check(facts)) << step;
      }
      if (write) {
        model.write({facts, state.end() + pick(2), step});  // compaction leaves gaps
        state.apply(facts, model.log.back().base, step);
        latest[pid] = facts;
      }
      const int64_t open = state.end() - state.floor();
      const Offset somewhere = state.floor() + (open > 0 ? pick(static_cast<int>(open) + 1) : 0);
      if (pick(5) == 0) {
        const std::string snapshot = state.snapshot(somewhere);
        ASSERT_TRUE(snapshot == model.snapshot(somewhere)) << step;
        auto replayed = ProducerState::decode(as_bytes(snapshot));
        ASSERT_TRUE(replayed);
        for (const auto& written : model.log)
          if (written.last() >= somewhere && written.base >= replayed->end())
            replayed->apply(written.facts, written.base, written.time);
        if (replayed->end() == state.end()) {
          const bool straddled = std::ranges::any_of(model.log, [&](const auto& written) {
            return written.base < somewhere && written.last() >= somewhere;
          });
          if (!straddled)
            ASSERT_TRUE(replayed->snapshot(state.end()) == state.snapshot(state.end()));
        }
      }
      if (pick(7) == 0) state.durable_up_to(somewhere);
      if (pick(25) == 0) {
        const Offset cut = std::max(state.floor(), somewhere);
        state.forget_from(cut);
        model.forget_from(cut);
      }
    }
    ASSERT_TRUE(state.snapshot(state.end()) == model.snapshot(state.end()));
  }
}

}  // namespace
}  // namespace paceline::record
