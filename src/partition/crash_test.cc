#include "env/random.h"
#include "partition/partition.h"
#include "record/records.h"
#include "stream/test_house.h"

namespace paceline::partition {
namespace {

// Partitions on the real storage, on two shards, through crashes: idempotent producers that retry
// whatever they have no answer for.
class CrashTest {
 public:
  explicit CrashTest(uint64_t seed) : random_(seed), house_(seed, 2) {}
  ~CrashTest() { crash(); }

  void start() {
    auto started = house_.start();
    ASSERT_TRUE(started) << started.error().to_string();
    for (uint32_t i = 0; i < kPartitions; ++i) {
      Partition::Options options;
      options.shard = &shard_of(i);
      options.storage = house_.storage.get();
      options.stream = stream::stream_id(i);
      options.name = fmt::format("t-{}", i);
      options.epoch = house_.epoch;
      auto opened = house_.world.wait(i % 2, Partition::open(std::move(options)));
      ASSERT_TRUE(opened) << opened.error().to_string();
      partitions_[i] = std::move(*opened);
    }
  }
  void crash() {
    house_.world.crash();
    for (auto& partition : partitions_) partition.reset();
    house_.crash();
  }
  // As a client does, every producer first asks again for what it has no answer to.
  void produce(int steps) {
    for (int step = 0; step < steps; ++step)
      for (uint32_t i = 0; i < kPartitions; ++i) send(i, step > 0 && random_.chance(0.3));
  }
  // Leaves one batch a partition without an answer.
  void cut_off() {
    for (uint32_t i = 0; i < kPartitions; ++i) {
      auto body = [](Partition* on, AppendRequest what) -> Task<void> {
        (void)co_await on->append(std::move(what));
      };
      shard_of(i).spawn(body(partitions_[i].get(), request(i, sent_[i])));
    }
    house_.world.run_for(std::chrono::microseconds(random_.below(6000)));
  }
  void verify() {
    for (uint32_t i = 0; i < kPartitions; ++i) {
      const auto& bases = bases_[i];
      EXPECT_EQ(partitions_[i]->high_watermark().value, static_cast<int64_t>(bases.size()));
      int64_t at = 0;
      while (at < partitions_[i]->high_watermark().value) {
        FetchRequest request;
        request.from = Offset(at);
        request.bytes_max = 3000;
        auto fetched = house_.world.wait(i % 2, partitions_[i]->fetch(request));
        ASSERT_TRUE(fetched) << fetched.error().to_string();
        ASSERT_FALSE(fetched->records.empty());
        for (const Slice& slice : fetched->records) {
          auto view = record::BatchView::parse(slice.bytes());
          ASSERT_TRUE(view && view->crc_ok());
          ASSERT_EQ(view->base_offset(), Offset(at));
          ASSERT_EQ(view->base_sequence(), at) << "one record a sequence";
          ++at;
        }
      }
    }
  }

 private:
  static constexpr uint32_t kPartitions = 4;
  env::Shard& shard_of(uint32_t index) { return house_.world.shard(index % 2); }
  AppendRequest request(uint32_t index, int32_t sequence) {
    record::BatchBuilder builder;
    builder.producer(record::ProducerId(100 + index), 0, sequence)
        .timestamp(1'700'000'000'000 + sequence);
    builder.add("key", std::string(static_cast<size_t>(sequence) * 37 % 300, 'x'));
    AppendRequest made;
    made.records = Slice::copy_of(as_bytes(*builder.build()));
    return made;
  }
  void send(uint32_t index, bool retry) {
    const int32_t sequence = retry ? sent_[index] - 1 : sent_[index];
    auto answer =
        house_.world.wait(index % 2, partitions_[index]->append(request(index, sequence)));
    ASSERT_TRUE(answer) << answer.error().message;
    if (retry) ASSERT_TRUE(answer->duplicate);
    auto [known, fresh] = bases_[index].try_emplace(sequence, answer->base.value);
    ASSERT_EQ(known->second, answer->base.value);
    if (!retry) ++sent_[index];
  }

  env::Random random_;
  stream::House house_;
  std::unique_ptr<Partition> partitions_[kPartitions];
  int32_t sent_[kPartitions] = {};
  std::map<int32_t, int64_t> bases_[kPartitions];
};

TEST(PartitionCrash, RetriesAreToldFromNewDataOverFiveLivesOnTwoShards) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    CrashTest test(seed);
    for (int life = 0; life < 6; ++life) {
      test.start();
      if (testing::Test::HasFatalFailure()) return;
      test.produce(30);
      test.verify();
      test.cut_off();
      test.crash();
      if (testing::Test::HasFatalFailure()) return;
    }
    test.start();
    test.produce(2);
    test.verify();
  }
}

}  // namespace
}  // namespace paceline::partition
