#include "env/random.h"
#include "partition/test_storage.h"

namespace paceline::partition {
namespace {

using enum record::KafkaError;

// Counts the batches it is shown.
class Counter final : public Attached {
 public:
  void restore(std::string_view snapshot) override {
    count = snapshot.empty() ? 0 : std::stoi(std::string(snapshot));
  }
  void replay(const stream::Batch&) override { ++count; }
  std::string snapshot(Offset) override { return std::to_string(count); }
  int count = -1;
};

TEST_F(PartitionTest, RetriesAcrossALifeGetTheOriginalOffset) {
  ASSERT_TRUE(append(from(9, 0, 2)));
  storage.checkpoint(kStream);
  ASSERT_TRUE(append(from(9, 2)));
  close();
  open(1);
  auto below = append(from(9, 0, 2));
  auto above = append(from(9, 2));
  ASSERT_TRUE(below && above);
  EXPECT_EQ(below->base, Offset(0));
  EXPECT_EQ(above->base, Offset(2));
  EXPECT_TRUE(below->duplicate && above->duplicate);
  EXPECT_EQ(append(from(9, 3))->base, Offset(3));
  EXPECT_EQ(code(append(from(9, 9))), out_of_order_sequence_number);
}

TEST_F(PartitionTest, SequencesWrap) {
  ASSERT_TRUE(append(from(9, record::kSequenceMax - 1, 2)));
  ASSERT_TRUE(append(from(9, 0, 3)));
  close();
  open(1);
  EXPECT_EQ(append(from(9, 0, 3))->base, Offset(2));
  EXPECT_EQ(append(from(9, 3))->base, Offset(5));
}

TEST_F(PartitionTest, EpochEndsAreExactOverFiveLives) {
  std::vector<int64_t> ends;
  for (int32_t life = 0; life < 6; ++life) {
    if (life > 0) {
      close();
      open(life * 2);
    }
    if (life != 3) {
      for (int i = 0; i <= life; ++i) ASSERT_TRUE(append(plain(2)));
    }
    if (life % 2 == 1) storage.checkpoint(kStream);
    ends.push_back(partition->high_watermark().value);
  }
  for (int32_t life = 0; life < 6; ++life) {
    auto end = partition->epoch_end(Epoch(life * 2), Epoch(-1));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->end, Offset(ends[life])) << life;
    if (life != 3) EXPECT_EQ(end->epoch, Epoch(life * 2));
  }
  EXPECT_EQ(partition->epoch_end(Epoch(99), Epoch(-1))->end, Offset(-1));
}

TEST_F(PartitionTest, AnOlderEpochDoesNotOpen) {
  close();
  open(4);
  ASSERT_TRUE(append(plain()));
  close();
  auto opened = try_open(3);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::fenced);
  EXPECT_TRUE(storage.owners.empty());
}

TEST_F(PartitionTest, ADamagedSnapshotIsToldAndTheStreamGivenBack) {
  ASSERT_TRUE(append(from(9, 0)));
  storage.checkpoint(kStream);
  close();
  const std::string whole = stream().snapshot;
  for (size_t size = 1; size < whole.size(); ++size) {
    stream().snapshot = whole.substr(0, size);
    EXPECT_FALSE(try_open(1)) << size;
    EXPECT_TRUE(storage.owners.empty());
  }
  stream().snapshot = whole;
  EXPECT_TRUE(try_open(1));
}

TEST_F(PartitionTest, AttachedStateIsSnapshotPlusTheBatchesAbove) {
  Counter counter;
  close();
  attached = &counter;
  open(1);
  ASSERT_TRUE(append(plain()));
  counter.count = 17;
  storage.checkpoint(kStream);
  ASSERT_TRUE(append(plain()));
  ASSERT_TRUE(append(plain()));
  close();
  counter.count = -1;
  open(2);
  EXPECT_EQ(counter.count, 19);
  close();
}

// Random producers that retry, failures, checkpoints and lives, against what was acknowledged.
TEST_F(PartitionTest, EveryAcknowledgedBatchIsThereOnceWhateverHappens) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    env::Random random(seed);
    world.crash();
    partition.reset();
    storage.streams.clear();
    storage.owners.clear();
    int32_t epoch = 0;
    open(epoch);
    struct Producer {
      int32_t sequence = 0;
      std::map<int32_t, int64_t> acknowledged;
    };
    std::map<int64_t, Producer> producers;
    for (int step = 0; step < 300; ++step) {
      const uint64_t dice = random.below(20);
      if (dice == 0) {
        close();
        open(++epoch);
      } else if (dice == 1) {
        storage.checkpoint(kStream);
      } else if (dice == 2) {
        stream().failures = {Code::no_space};
      }
      const int64_t id = static_cast<int64_t>(random.below(3));
      Producer& producer = producers[id];
      const bool retry = producer.sequence > 0 && random.chance(0.3);
      const int32_t sequence = retry ? producer.sequence - 1 : producer.sequence;
      auto answer = append(from(id, sequence));
      if (!answer) {
        ASSERT_EQ(code(answer), kafka_storage_error) << answer.error().message;
        continue;
      }
      ASSERT_EQ(answer->duplicate, producer.acknowledged.contains(sequence));
      auto [known, fresh] = producer.acknowledged.try_emplace(sequence, answer->base.value);
      ASSERT_EQ(known->second, answer->base.value);
      if (!retry) ++producer.sequence;
    }
    size_t count = 0;
    for (const auto& [id, producer] : producers) count += producer.acknowledged.size();
    EXPECT_EQ(partition->high_watermark().value, static_cast<int64_t>(count));
  }
}

}  // namespace
}  // namespace paceline::partition
