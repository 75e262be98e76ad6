#include "wal/wal_contract.h"

#include "wal/test_store.h"
#include "wal/test_world.h"

namespace paceline::wal {
namespace {

Code code_of(const auto& result) {
  EXPECT_FALSE(result);
  return result ? Code::in_use : result.error().code;
}

TEST_P(WalContract, WhatIsAppendedIsReadBackWithAllItsFields) {
  Entry first = batch(10, 3, 100);
  first.header.append_time_ms = 123;
  first.header.max_timestamp = 456;
  first.header.producer_id = 789;
  Entry second;
  second.header = {
      .stream = kStream, .kind = EntryKind::trim, .epoch = Epoch(2), .base = Offset(5)};
  const std::vector<Entry> entries{first, second};
  const auto written = append(entries, 1);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->end, writer->durable_end());
  EXPECT_EQ(as_text(written->payloads[0].bytes()), std::string(100, 'k'));
  const auto end = seal();
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, written->end);
  const auto groups = read(Position(0), *end);
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1u);
  const Group& group = groups->front();
  EXPECT_EQ(group.end, written->end);
  ASSERT_EQ(group.entries.size(), 2u);
  const EntryHeader& header = group.entries[0].header;
  EXPECT_EQ(header.stream, kStream);
  EXPECT_EQ(header.kind, EntryKind::batch);
  EXPECT_EQ(header.epoch, Epoch(1));
  EXPECT_EQ(header.base, Offset(10));
  EXPECT_EQ(header.count, 3u);
  EXPECT_EQ(header.append_time_ms, 123);
  EXPECT_EQ(header.max_timestamp, 456);
  EXPECT_EQ(header.producer_id, 789u);
  EXPECT_EQ(group.entries[1].header.kind, EntryKind::trim);
  EXPECT_EQ(group.entries[1].header.base, Offset(5));
  EXPECT_TRUE(group.entries[0].payload.buffer().same_block(group.entries[1].payload.buffer()));
}

TEST_P(WalContract, StreamsThatComeAndGoAreReadBackWhereTheyStandAmongBatches) {
  Entry adopted{
      {.stream = kStream, .kind = EntryKind::adopt, .epoch = Epoch(7), .base = Offset(90)},
      Slice::copy_of(as_bytes("a passport"))};
  Entry released{
      {.stream = kStream, .kind = EntryKind::release, .epoch = Epoch(7), .base = Offset(93)},
      Slice()};
  ASSERT_TRUE(append_one(batch(10, 3, 100)));
  const auto written = append({adopted}, 1);
  ASSERT_TRUE(written);
  // It says nothing of the row of its stream: that goes on with the next term.
  ASSERT_TRUE(append_one(batch(90, 3, 100, Epoch(8))));
  ASSERT_TRUE(append({released}, 1));
  const auto groups = read(Position(0), seal().value());
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 4u);
  const Entry& back = groups->at(1).entries.at(0);
  EXPECT_EQ(groups->at(1).end, written->end);
  EXPECT_EQ(back.header.kind, EntryKind::adopt);
  EXPECT_EQ(back.header.base, Offset(90));
  EXPECT_EQ(as_text(back.payload.bytes()), "a passport");
  EXPECT_EQ(groups->at(3).entries.at(0).header.kind, EntryKind::release);
  EXPECT_EQ(groups->at(3).entries.at(0).header.base, Offset(93));
}

TEST_P(WalContract, ALaneThatNeverWroteEndsAtZeroEvenIfItWasNeverCreated) {
  EXPECT_EQ(seal().value(), Position(0));
  EXPECT_TRUE(read(Position(0), std::nullopt)->empty());
  const Lane never{BrokerId(1), Incarnation(1)};
  EXPECT_EQ(seal(never).value(), Position(0));
  EXPECT_EQ(code_of(world->wait(0, world->wal().create(world->shard(0), never))),
            Code::already_exists);
}

TEST_P(WalContract, ALaneIsCreatedOnce) {
  ASSERT_TRUE(append_one(batch(0, 1, 10)));
  EXPECT_EQ(code_of(world->wait(0, world->wal().create(world->shard(0), kLane))),
            Code::already_exists);
}

TEST_P(WalContract, AnEntryLargerThanGroupsAndBlocksIsWritten) {
  ASSERT_TRUE(append_one(batch(0, 1, 3 << 20)));
  ASSERT_TRUE(append_one(batch(1, 1, 100)));
  const auto groups = read(Position(0), seal().value());
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ(groups->at(0).entries[0].payload.size(), 3u << 20);
}

TEST_P(WalContract, AReaderStartsAtTheGroupThatEndsAboveItsPosition) {
  std::vector<Position> ends;
  for (int i = 0; i < 40; ++i) ends.push_back(append_one(batch(i, 1, 5000))->end);
  for (size_t i = 0; i < ends.size(); ++i) {
    const auto groups = read(ends[i], std::nullopt);
    ASSERT_TRUE(groups);
    ASSERT_EQ(groups->size(), ends.size() - i - 1);
    if (!groups->empty()) {
      EXPECT_EQ(groups->front().end, ends[i + 1]);
    }
  }
}

TEST_P(WalContract, WhatArrivesDuringACommitGoesTogether) {
  int done = 0;
  auto one = [](Writer& log, env::Shard& shard, int64_t base, int& count) -> Task<void> {
    std::vector<Entry> entries(
        1, batch(base, 1, 10, Epoch(1), StreamId{Uuid{{9}}, static_cast<uint32_t>(base)}));
    auto written = co_await log.append(shard, std::move(entries));
    EXPECT_TRUE(written);
    ++count;
  };
  for (int i = 0; i < 300; ++i)
    world->shard(i % 3).spawn(one(*writer, world->shard(i % 3), i, done));
  world->settle();
  EXPECT_EQ(done, 300);
  EXPECT_LT(read(Position(0), std::nullopt)->size(), 150u);
}

TEST_P(WalContract, ABatchBehindARefusedOneIsRefusedUntilTheRowIsClosed) {
  ASSERT_TRUE(append_one(batch(5, 5, 10)));
  EXPECT_EQ(code_of(append_one(batch(12, 1, 10))), Code::conflict);
  EXPECT_EQ(code_of(append_one(batch(13, 1, 10))), Code::conflict);
  const std::vector<Entry> half{batch(10, 1, 10), batch(12, 1, 10)};
  EXPECT_EQ(code_of(append(half)), Code::conflict);
  ASSERT_TRUE(append_one(batch(10, 2, 10)));
  ASSERT_TRUE(append_one(batch(12, 1, 10)));
}

TEST_P(WalContract, AStreamThatComesBackInANewTermStartsANewRow) {
  ASSERT_TRUE(append_one(batch(0, 5, 10, Epoch(1))));
  ASSERT_TRUE(append_one(batch(90, 5, 10, Epoch(3))));
  EXPECT_EQ(code_of(append_one(batch(95, 5, 10, Epoch(1)))), Code::conflict);
  ASSERT_TRUE(append_one(batch(95, 5, 10, Epoch(3))));
}

TEST_P(WalContract, AppendsAfterTheSealAreSealed) {
  ASSERT_TRUE(append_one(batch(0, 1, 10)));
  int lost = 0;
  writer->on_lost([&](const Error& error) {
    ++lost;
    EXPECT_EQ(error.code, Code::sealed);
  });
  const Position end = seal().value();
  EXPECT_EQ(code_of(append_one(batch(1, 1, 10), 1)), Code::sealed);
  EXPECT_EQ(code_of(append_one(batch(2, 1, 10))), Code::sealed);
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(seal().value(), end);
  EXPECT_EQ(read(Position(0), end)->size(), 1u);
}

TEST_P(WalContract, WhatIsTrimmedNeedsNotBeThereForASealer) {
  std::vector<Position> ends;
  for (int i = 0; i < 30; ++i) ends.push_back(append_one(batch(i, 1, 5000))->end);
  ASSERT_TRUE(world->wait(1, writer->trim(world->shard(1), ends[19])));
  world->settle();
  EXPECT_EQ(seal(kLane, ends[19]).value(), ends.back());
  EXPECT_EQ(read(ends[19], ends.back())->size(), 10u);
}

TEST_P(WalContract, ARemovedLaneKeepsItsEndAndCannotComeBack) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(append_one(batch(i, 1, 10)));
  auto remove = [this] { return world->wait(1, world->wal().remove(world->shard(1), kLane)); };
  EXPECT_EQ(code_of(remove()), Code::conflict);
  const Position end = seal().value();
  ASSERT_TRUE(remove());
  ASSERT_TRUE(remove());
  EXPECT_EQ(seal().value(), end);
  EXPECT_EQ(seal(kLane, Position(1)).value(), end);
  EXPECT_EQ(code_of(append_one(batch(3, 1, 10))), Code::sealed);
  EXPECT_EQ(code_of(world->wait(0, world->wal().create(world->shard(0), kLane))),
            Code::already_exists);
  EXPECT_TRUE(read(end, end)->empty());
  EXPECT_FALSE(read(Position(0), end)) << "what is gone is not passed over";
}

TEST_P(WalContract, CloseWaitsForWhatIsInFlight) {
  int done = 0;
  auto one = [](Writer& log, env::Shard& shard, int64_t base, int& count) -> Task<void> {
    std::vector<Entry> entries(1, batch(base, 1, 10));
    auto written = co_await log.append(shard, std::move(entries));
    EXPECT_TRUE(written);
    ++count;
  };
  for (int i = 0; i < 5; ++i) world->shard(0).spawn(one(*writer, world->shard(0), i, done));
  auto close = [](Writer& log, env::Shard& shard) -> Task<void> { co_await log.close(shard); };
  world->run(0, close(*writer, world->shard(0)));
  world->settle();
  EXPECT_EQ(done, 5);
  EXPECT_EQ(code_of(append_one(batch(5, 1, 10))), Code::closed);
}

class FileWorld final : public WalWorld {
 public:
  FileWorld()
      : world_(1),
        wal_(make_file_wal(world_.disk, {.folder = "/wal",
                                         .cluster_id = Uuid{{1, 2, 3}},
                                         .segment_bytes = 64 << 10,
                                         .group_bytes_max = 24 << 10,
                                         .block_bytes = 16 << 10})) {}
  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Wal& wal() override { return *wal_; }
  void run(size_t on, Task<void> task) override {
    auto body = [](Task<void> inner) -> Task<int> {
      co_await std::move(inner);
      co_return 0;
    };
    world_.wait(on, body(std::move(task)));
  }
  void settle() override { world_.run(); }

 private:
  TestWorld world_;
  std::unique_ptr<Wal> wal_;
};

class ObjectWorld final : public WalWorld {
 public:
  ObjectWorld() : world_(1), host_(world_.add_host("host")), store_(world_) {
    host_.start(3);
    ObjectWalOptions options{.cluster_id = Uuid{{1, 2, 3}}};
    options.slot_bytes_max = 24 << 10;
    options.block_bytes = 16 << 10;
    wal_ = make_object_wal(store_, options);
  }
  ~ObjectWorld() override { host_.stop(); }
  env::Shard& shard(size_t index) override { return host_.shard(index); }
  Wal& wal() override { return *wal_; }
  void run(size_t on, Task<void> task) override {
    bool done = false;
    auto body = [](Task<void> inner, bool& over) -> Task<void> {
      co_await std::move(inner);
      over = true;
    };
    shard(on).spawn(body(std::move(task), done));
    CHECK(world_.run_until([&] { return done; }, std::chrono::hours(1)));
  }
  void settle() override { world_.run_for(std::chrono::seconds(60)); }

 private:
  env::SimWorld world_;
  env::SimHost& host_;
  TestStore store_;
  std::unique_ptr<Wal> wal_;
};

template <class World>
std::unique_ptr<WalWorld> make_world() {
  return std::make_unique<World>();
}

INSTANTIATE_TEST_SUITE_P(Wal, WalContract,
                         testing::Values(WalParam{"Files", &make_world<FileWorld>},
                                         WalParam{"Objects", &make_world<ObjectWorld>}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace paceline::wal
