#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "env/real_env.h"
#include "stream/test_house.h"

namespace paceline::stream {
namespace {

constexpr uint32_t kStreams = 8;
constexpr int kBatches = 300;

// A broker's storage on this machine's disk, with threads, in a folder that goes with it.
class RealStorage {
 public:
  RealStorage() {
    char name[] = "/tmp/paceline-stream-test-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    folder_ = name;
  }
  ~RealStorage() { std::filesystem::remove_all(folder_); }

  // One life of the process. `stop`: it ends well; else all is dropped where it stands.
  void live(bool stop) {
    env::RealEnv::Options real_options;
    real_options.shards = 2;
    env::RealEnv real(real_options);
    env::Shard& shard = real.shard(0);
    auto meta = *meta::open_sqlite_store(shard.disk(), shard, folder_ + "/meta");
    auto objects = *object::open_folder_store(shard.disk(), folder_ + "/objects");
    auto wal =
        wal::make_file_wal(shard.disk(), {.folder = folder_ + "/wal", .cluster_id = Uuid{{1}}});
    std::unique_ptr<Storage> storage;
    std::vector<env::Shard*> shards{&real.shard(0), &real.shard(1)};
    struct Life {
      RealStorage& house;
      std::vector<env::Shard*> shards;
      meta::Store& meta;
      object::Store& objects;
      wal::Wal& wal;
      std::unique_ptr<Storage>& storage;
      env::RealEnv& real;
      bool stop;
    };
    Life life{*this, shards, *meta, *objects, *wal, storage, real, stop};
    auto body = [](Life& all) -> Task<void> {
      co_await all.house.run(all.shards, all.meta, all.objects, all.wal, all.storage, all.stop);
      all.real.stop();
    };
    shard.spawn(body(life));
    real.run();
    storage.reset();
  }
  std::array<std::atomic<int64_t>, kStreams> acknowledged{};

 private:
  Task<void> run(std::vector<env::Shard*> shards, meta::Store& meta, object::Store& objects,
                 wal::Wal& wal, std::unique_ptr<Storage>& storage, bool stop) {
    env::Shard& shard = *shards[0];
    const Lane lane{BrokerId(3), Incarnation(++incarnation_)};
    if (incarnation_ > 1) {
      const std::string before = meta::lane_key({BrokerId(3), Incarnation(incarnation_ - 1)});
      auto entry = co_await meta.get(shard, before);
      auto record = meta::decode<meta::LaneRecord>((*entry)->value);
      record->sealed = true;
      record->successors = {{.lane = lane, .capacity = 1, .zone = ""}};
      meta::Transaction sealing;
      sealing.put(before, meta::encode(*record));
      auto sealed = co_await meta.commit(shard, std::move(sealing));
      EXPECT_TRUE(sealed.has_value());
    }
    meta::Transaction registering;
    registering.put(meta::lane_key(lane), meta::encode(meta::LaneRecord{}));
    auto registered = co_await meta.commit(shard, std::move(registering));
    EXPECT_TRUE(registered.has_value());
    Options options;
    options.cluster_id = Uuid{{1}};
    options.lane = lane;
    options.upload_bytes = 100'000;
    options.upload_age_ms = 100;
    options.block_bytes = 4000;
    options.log_cache_bytes = 200'000;
    auto started = co_await Storage::start(shards, meta, objects, wal, options, {});
    EXPECT_TRUE(started.has_value()) << started.error().to_string();
    if (!started) co_return;
    storage = std::move(*started);
    running_ = kStreams;
    env::Event over(shard);
    for (uint32_t i = 0; i < kStreams; ++i) {
      env::Shard& home = *shards[i % 2];
      auto produce = [](RealStorage& house, Storage& into, env::Shard& on, env::Shard& first,
                        env::Event& ended, uint32_t index, Epoch epoch) -> Task<void> {
        co_await house.produce(into, on, index, epoch);
        first.post([&house, &ended] {
          --house.running_;
          ended.notify_all();
        });
      };
      auto starting = [this, produce, &home, &shard, &over, &storage, i, lane] {
        home.spawn(produce(*this, *storage, home, shard, over, i,
                           Epoch(static_cast<int32_t>(lane.incarnation.value))));
      };
      home.post(starting);
    }
    while (running_ > 0) co_await over.wait();
    if (!stop) co_return;
    co_await storage->stop(shard, shard.now() + std::chrono::seconds(10));
    EXPECT_EQ(storage->stats().unuploaded_bytes, 0u);
    const Inspected inspected{&shard, &meta, &objects, &wal, BrokerId(3)};
    auto report = co_await check(inspected);
    EXPECT_TRUE(report.has_value() && report->ok())
        << (report ? reasons(*report) : report.error().to_string());
  }

  Task<void> produce(Storage& storage, env::Shard& home, uint32_t index, Epoch epoch) {
    HashOwner owner;
    auto opened = co_await storage.open(home, stream_id(index), owner);
    EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
    if (!opened) co_return;
    owner.take_in(opened->recovered);
    Stream& stream = *opened->stream;
    EXPECT_EQ(stream.end().value, acknowledged[index]);
    EXPECT_EQ(owner.last(), HashOwner::expected(index, stream.end().value));
    for (int i = 0; i < kBatches; ++i) {
      const Batch batch = batch_at(index, stream.end().value, epoch);
      auto appended = co_await stream.append(std::vector<Batch>{batch});
      if (!appended) {  // back-pressure: uploads are behind
        EXPECT_EQ(appended.error().code, Code::unavailable) << appended.error().message;
        co_await env::sleep_for(home, std::chrono::milliseconds(10));
        --i;
        continue;
      }
      owner.apply(batch);
    }
    acknowledged[index] = stream.end().value;
    Offset at = stream.start();
    while (at < stream.end()) {
      ReadRequest request{.from = at, .bytes_max = 5000};
      auto result = co_await stream.read(request);
      EXPECT_TRUE(result.has_value()) << result.error().to_string();
      if (!result || result->batches.empty()) co_return;
      for (const Batch& batch : result->batches) {
        EXPECT_EQ(batch.base, at);
        EXPECT_EQ(as_text(batch.bytes.bytes()), payload_at(index, batch.base.value));
        at = batch.end();
      }
    }
    co_await storage.close(home, stream_id(index));
  }

  std::string folder_;
  uint64_t incarnation_ = 0;
  uint32_t running_ = 0;  // on the first shard
};

TEST(RealStorage, ThreadsAndRestartsKeepWhatWasAcknowledged) {
  RealStorage storage;
  for (bool stop : {false, true, false, false, true}) storage.live(stop);
  for (const auto& end : storage.acknowledged) EXPECT_GT(end, 5 * kBatches);
}

}  // namespace
}  // namespace paceline::stream
