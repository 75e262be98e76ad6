#include "wal/wal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "env/sync.h"
#include "wal/format.h"
#include "wal/lane_files.h"
#include "wal/marks.h"
#include "wal/seal.h"
#include "wal/stager.h"
#include "wal/stream_order.h"
#include "wal/test_world.h"

namespace paceline::wal {
namespace {

constexpr Lane kLane{BrokerId(3), Incarnation(7)};
const StreamId kStream{Uuid{{9}}, 4};

FileWalOptions small_options() {
  return {.folder = "/wal",
          .cluster_id = Uuid{{1, 2, 3}},
          .segment_bytes = 64 << 10,
          .group_bytes_max = 24 << 10,
          .block_bytes = 16 << 10};
}

Entry batch(int64_t base, uint32_t count, size_t bytes, Epoch epoch = Epoch(1),
            StreamId stream = kStream) {
  Entry entry;
  entry.header = {.stream = stream, .epoch = epoch, .base = Offset(base), .count = count};
  entry.payload = Slice::copy_of(as_bytes(std::string(bytes, static_cast<char>('a' + base % 26))));
  return entry;
}

struct Scene {
  explicit Scene(uint64_t seed = 1) : world(seed), wal(make_file_wal(world.disk, small_options())) {
    open();
  }
  void open() {
    auto made = world.wait(0, wal->create(world.shard(0), kLane));
    CHECK(made.has_value());
    writer = std::move(*made);
  }
  Result<Written> append(std::vector<Entry> entries, size_t on = 0) {
    return world.wait(on, writer->append(world.shard(on), std::move(entries)));
  }
  Result<Written> append_one(Entry entry, size_t on = 0) {
    return append(std::vector<Entry>(1, std::move(entry)), on);
  }
  Result<Position> seal() { return world.wait(2, wal->seal(world.shard(2), kLane, Position{})); }
  static LaneFiles files_on(TestDisk& disk) {
    const Owner owner{.cluster_id = small_options().cluster_id, .lane = kLane};
    return {.disk = &disk, .owner = owner, .folder = "/wal/3.7"};
  }
  // How many pieces there were.
  int release(Position end) {
    int pieces = 1;
    while (!release_reserved(files_on(world.disk), end).value()) ++pieces;
    return pieces;
  }
  Result<std::vector<Group>> read(Position from = Position(0)) {
    auto body = [](Wal& log, env::Shard& shard,
                   Position start) -> Task<Result<std::vector<Group>>> {
      CO_TRY(auto reader, co_await log.read(shard, kLane, start, std::nullopt));
      std::vector<Group> groups;
      for (;;) {
        CO_TRY(auto group, co_await reader->next());
        if (!group) co_return groups;
        groups.push_back(std::move(*group));
      }
    };
    return world.wait(2, body(*wal, world.shard(2), from));
  }
  std::string segment(uint64_t number) const { return fmt::format("/wal/3.7/{:016}.wal", number); }

  TestWorld world;
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Writer> writer;
};

size_t entry_count(const std::vector<Group>& groups) {
  size_t count = 0;
  for (const Group& group : groups) count += group.entries.size();
  return count;
}

TEST(wal, an_entry_larger_than_groups_blocks_and_segments_is_written) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 3 << 20)));
  ASSERT_TRUE(scene.append_one(batch(1, 1, 100)));
  ASSERT_TRUE(scene.seal());
  const auto groups = scene.read();
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ(groups->at(0).entries[0].payload.size(), 3u << 20);
}

TEST(wal, a_full_disk_refuses_and_the_writer_goes_on_when_space_returns) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 40'000)));
  scene.world.run();
  scene.world.disk.free_space = 0;
  int64_t base = 1;
  Result<Written> written;
  while ((written = scene.append_one(batch(base, 1, 40'000)))) ++base;
  EXPECT_EQ(written.error().code, Code::no_space);
  EXPECT_EQ(scene.append_one(batch(base + 1, 1, 10)).error().code, Code::conflict);
  EXPECT_EQ(scene.append_one(batch(base, 1, 40'000)).error().code, Code::no_space);
  scene.world.disk.free_space = ~0ull;
  ASSERT_TRUE(scene.append_one(batch(base, 1, 40'000)));
  ASSERT_TRUE(scene.append_one(batch(base + 1, 1, 40'000)));
  ASSERT_TRUE(scene.seal());
  EXPECT_EQ(entry_count(*scene.read()), static_cast<size_t>(base + 2));
}

// Reads are of a mebibyte at most; what is below must not be among them.
TEST(wal, what_was_uploaded_is_not_read_again_by_whoever_takes_over) {
  FileWalOptions options = small_options();
  options.segment_bytes = 16 << 20;
  for (const int tail : {0, 1, 3}) {
    Scene scene;
    scene.wal = make_file_wal(scene.world.disk, options);
    scene.writer.reset();
    const Lane lane{kLane.broker, kLane.incarnation + 1};
    auto made = scene.world.wait(0, scene.wal->create(scene.world.shard(0), lane));
    ASSERT_TRUE(made);
    scene.writer = std::move(*made);
    Position uploaded;
    for (int i = 0; i < 12; ++i) uploaded = scene.append_one(batch(i, 1, 1 << 20))->end;
    Position end = uploaded;
    for (int i = 0; i < tail; ++i) end = scene.append_one(batch(12 + i, 1, 5000))->end;
    scene.world.disk.bytes_read = 0;
    const auto sealed = scene.world.wait(2, scene.wal->seal(scene.world.shard(2), lane, uploaded));
    ASSERT_TRUE(sealed) << sealed.error().to_string();
    EXPECT_EQ(*sealed, end);
    EXPECT_LE(scene.world.disk.bytes_read, 3u << 20) << "a tail of " << tail;
    scene.world.disk.bytes_read = 0;
    auto body = [](Wal& log, env::Shard& shard, Lane which, Position from,
                   Position to) -> Task<Result<std::vector<Group>>> {
      CO_TRY(auto reader, co_await log.read(shard, which, from, to));
      std::vector<Group> groups;
      for (;;) {
        CO_TRY(auto group, co_await reader->next());
        if (!group) co_return groups;
        groups.push_back(std::move(*group));
      }
    };
    // By those who take over, and by somebody who has not sealed it.
    for (int time = 0; time < 3; ++time) {
      if (time == 2) scene.wal = make_file_wal(scene.world.disk, options);
      const auto groups =
          scene.world.wait(2, body(*scene.wal, scene.world.shard(2), lane, uploaded, end));
      ASSERT_TRUE(groups) << groups.error().to_string();
      // A group may hold nothing but the marks of the commit before it.
      std::vector<Offset> bases;
      for (const Group& group : *groups)
        for (const Entry& entry : group.entries) bases.push_back(entry.header.base);
      ASSERT_EQ(bases.size(), static_cast<size_t>(tail));
      for (int i = 0; i < tail; ++i) EXPECT_EQ(bases[static_cast<size_t>(i)], Offset(12 + i));
      EXPECT_EQ(groups->empty() ? uploaded : groups->back().end, end);
      if (time < 2) EXPECT_EQ(scene.world.disk.bytes_read, 0u);
      if (time == 2) EXPECT_GT(scene.world.disk.bytes_read, 0u);
    }
  }
}

// Two brokers die, and one was an heir of the other: whoever takes over from both comes for a lane
// twice at once.
TEST(wal, who_seals_a_lane_that_is_being_sealed_waits_for_what_is_read) {
  Scene scene;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(scene.append_one(batch(i, 1, 9000)));
  const auto seals = [&](int count) {
    auto body = [](Wal& log, env::Shard& shard, int times) -> Task<std::vector<Result<Position>>> {
      std::vector<Result<Position>> ends(static_cast<size_t>(times), Result<Position>{Position{}});
      env::Gate running(shard);
      for (auto& end : ends) {
        auto one = [](Wal* wal, env::Shard* on, Result<Position>* into,
                      env::Gate::Pass) -> Task<void> {
          *into = co_await wal->seal(*on, kLane, Position{});
        };
        shard.spawn(one(&log, &shard, &end, running.enter()));
      }
      co_await running.wait_empty();
      co_return ends;
    };
    return scene.world.wait(2, body(*scene.wal, scene.world.shard(2), count));
  };
  scene.world.disk.bytes_read = 0;
  const auto ends = seals(3);
  const uint64_t read = scene.world.disk.bytes_read;
  for (const auto& end : ends) {
    ASSERT_TRUE(end);
    EXPECT_EQ(*end, *ends[0]);
  }
  Scene alone;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(alone.append_one(batch(i, 1, 9000)));
  alone.world.disk.bytes_read = 0;
  ASSERT_TRUE(alone.seal());
  EXPECT_EQ(read, alone.world.disk.bytes_read);
}

// The group at the place itself is damaged: what stands behind it proves that it was there.
TEST(wal, damage_at_the_first_byte_that_is_needed_is_told) {
  Scene scene;
  Position ends[5];
  for (int i = 0; i < 5; ++i) ends[i] = scene.append_one(batch(i, 1, 5000))->end;
  scene.world.disk.bytes_of(scene.segment(1))[kPageBytes + (ends[1] - Position(0)) + 8] ^= 1;
  const auto sealed = scene.world.wait(2, scene.wal->seal(scene.world.shard(2), kLane, ends[1]));
  ASSERT_TRUE(sealed) << sealed.error().to_string();
  EXPECT_EQ(*sealed, ends[4]);
  const auto groups = scene.read(ends[1]);
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ(groups->front().before.size(), 1u);
}

std::vector<Damage> damages(const std::vector<Group>& groups) {
  std::vector<Damage> all;
  for (const Group& group : groups)
    for (const Damage& damage : group.before) all.push_back(damage);
  return all;
}

TEST(wal, damage_in_the_middle_is_told_with_its_place_and_takes_one_group_along) {
  for (const size_t at : {0u, 8u, 100u, 4000u}) {
    Scene scene;
    Position end;
    for (int i = 0; i < 5; ++i) end = scene.append_one(batch(i, 1, 5000))->end;
    scene.world.disk.bytes_of(scene.segment(1))[kPageBytes + 2 * 8192 + at] ^= 1;
    for (int round = 0; round < 2; ++round) {  // before the seal, and after it
      const auto groups = scene.read();
      ASSERT_TRUE(groups) << groups.error().to_string();
      ASSERT_EQ(groups->size(), 4u);
      ASSERT_EQ(groups->at(2).before.size(), 1u);
      const Damage& damage = groups->at(2).before[0];
      EXPECT_NE(damage.why.find(scene.segment(1)), std::string::npos) << damage.why;
      EXPECT_NE(damage.why.find("position 16384"), std::string::npos) << damage.why;
      EXPECT_TRUE(damage.known);
      ASSERT_EQ(damage.streams.size(), 1u);
      EXPECT_EQ(damage.streams[0].stream, kStream);
      EXPECT_EQ(damage.streams[0].end, Offset(3));
      EXPECT_EQ(scene.seal().value(), end);
    }
  }
}

TEST(wal, damage_takes_along_only_the_streams_that_were_in_the_commit) {
  const auto stream = [](uint32_t index) { return StreamId{Uuid{{9}}, index}; };
  Scene scene;
  for (int64_t round = 0; round < 2; ++round)
    for (uint32_t i = 0; i < 3; ++i)
      ASSERT_TRUE(scene.append_one(batch(10 * round, 10, 5000, Epoch(1), stream(i))));
  Entry trim;
  trim.header = {
      .stream = stream(0), .kind = EntryKind::trim, .epoch = Epoch(1), .base = Offset(7)};
  std::vector<Entry> both{batch(20, 4, 3000, Epoch(2), stream(1)), trim};
  const Position from = scene.writer->durable_end();
  ASSERT_TRUE(scene.append(both));
  ASSERT_TRUE(scene.append_one(batch(20, 1, 5000, Epoch(1), stream(2))));
  scene.world.disk.bytes_of(scene.segment(1))[kPageBytes + from.value + 300] ^= 1;
  ASSERT_TRUE(scene.seal());
  const auto told = damages(*scene.read());
  ASSERT_EQ(told.size(), 1u);
  ASSERT_EQ(told[0].streams.size(), 2u);
  EXPECT_EQ(told[0].streams[0].stream, stream(0));
  EXPECT_EQ(told[0].streams[0].start, Offset(7));
  EXPECT_FALSE(told[0].streams[0].end);
  EXPECT_EQ(told[0].streams[1].stream, stream(1));
  EXPECT_EQ(told[0].streams[1].end, Offset(24));
  EXPECT_EQ(told[0].streams[1].epoch, Epoch(2));
  EXPECT_TRUE(damages(*scene.read(told[0].to)).empty()) << "nobody needs what is below";
}

TEST(wal, damage_to_two_commits_in_a_row_may_concern_any_stream) {
  Scene scene;
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(scene.append_one(batch(i, 1, 5000)));
  for (const int group : {2, 3})
    scene.world.disk.bytes_of(scene.segment(1))[kPageBytes + group * 8192 + 100] ^= 1;
  ASSERT_TRUE(scene.seal());
  const auto told = damages(*scene.read());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].known);
  EXPECT_EQ(told[0].from, Position(2 * 8192));
  EXPECT_EQ(told[0].to, Position(4 * 8192));
}

// What was refused on a full disk was never written: the commit after it tells of the one before.
TEST(wal, a_refused_commit_leaves_no_marks) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 40'000)));
  scene.world.run();
  scene.world.disk.free_space = 0;
  int64_t base = 1;
  while (scene.append_one(batch(base, 1, 40'000))) ++base;
  scene.world.disk.free_space = ~0ull;
  const auto segment = static_cast<uint64_t>(base);  // one batch each, behind a group of marks
  ASSERT_TRUE(scene.append_one(batch(0, 1, 40'000, Epoch(1), StreamId{Uuid{{9}}, 5})));
  scene.world.disk.bytes_of(scene.segment(segment))[2 * kPageBytes + 500] ^= 1;
  const auto told = damages(*scene.read());
  ASSERT_EQ(told.size(), 1u);
  ASSERT_TRUE(told[0].known);
  ASSERT_EQ(told[0].streams.size(), 1u);
  EXPECT_EQ(told[0].streams[0].stream, kStream);
  EXPECT_EQ(told[0].streams[0].end, Offset(base));
}

TEST(wal, damage_at_the_end_of_a_segment_is_seen_by_the_next_one) {
  Scene scene;
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(scene.append_one(batch(i, 1, 5000)));
  scene.world.disk.bytes_of(scene.segment(1))[kPageBytes + 6 * 8192 + 70] ^= 1;
  ASSERT_TRUE(scene.seal());
  const auto groups = scene.read();
  EXPECT_EQ(groups->size(), 11u);
  const auto told = damages(*groups);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].known);
}

TEST(wal, a_damaged_segment_header_is_told_and_loses_nothing) {
  for (const uint64_t number : {1, 2}) {
    Scene scene;
    Position end;
    for (int i = 0; i < 12; ++i) end = scene.append_one(batch(i, 1, 5000))->end;
    scene.world.disk.bytes_of(scene.segment(number))[20] ^= 1;
    for (int round = 0; round < 2; ++round) {
      const auto groups = scene.read();
      ASSERT_TRUE(groups) << groups.error().to_string();
      EXPECT_EQ(groups->size(), 12u);
      const auto told = damages(*groups);
      ASSERT_EQ(told.size(), 1u);
      EXPECT_TRUE(told[0].known);
      EXPECT_TRUE(told[0].streams.empty());
      EXPECT_NE(told[0].why.find(scene.segment(number)), std::string::npos) << told[0].why;
      EXPECT_EQ(scene.seal().value(), end);
    }
  }
}

TEST(wal, a_damaged_last_group_is_cut_before_the_seal_and_told_after_it) {
  Scene scene;
  Position fourth;
  for (int i = 0; i < 5; ++i) {
    const auto written = scene.append_one(batch(i, 1, 5000));
    if (i == 3) fourth = written->end;
  }
  Scene sealed_first;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(sealed_first.append_one(batch(i, 1, 5000)));
  ASSERT_TRUE(sealed_first.seal());

  const size_t flipped = kPageBytes + 4 * 8192 + 300;
  scene.world.disk.bytes_of(scene.segment(1))[flipped] ^= 1;
  EXPECT_EQ(scene.seal().value(), fourth);
  EXPECT_EQ(scene.read()->size(), 4u);

  sealed_first.world.disk.bytes_of(sealed_first.segment(1))[flipped] ^= 1;
  const auto groups = sealed_first.read();
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 5u);
  EXPECT_TRUE(groups->back().entries.empty());
  ASSERT_EQ(groups->back().before.size(), 1u);
  const Damage& damage = groups->back().before[0];
  EXPECT_TRUE(damage.known) << "the END tells of the last commit";
  ASSERT_EQ(damage.streams.size(), 1u);
  EXPECT_EQ(damage.streams[0].end, Offset(5));
}

TEST(wal, a_missing_or_foreign_segment_is_refused) {
  Scene scene;
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(scene.append_one(batch(i, 1, 5000)));
  FileWalOptions foreign = small_options();
  foreign.cluster_id = Uuid{{5}};
  auto other = make_file_wal(scene.world.disk, foreign);
  EXPECT_EQ(scene.world.wait(2, other->read(scene.world.shard(2), kLane, Position(0), std::nullopt))
                .error()
                .code,
            Code::corrupt);
  ASSERT_TRUE(scene.world.disk.remove(scene.segment(2)));
  EXPECT_EQ(scene.seal().error().code, Code::corrupt);
}

TEST(wal, trim_deletes_whole_segments_below_and_the_rest_stays_readable) {
  Scene scene;
  std::vector<Position> ends;
  for (int i = 0; i < 30; ++i) ends.push_back(scene.append_one(batch(i, 1, 5000))->end);
  const Position up_to = ends[19];
  ASSERT_TRUE(scene.world.wait(1, scene.writer->trim(scene.world.shard(1), up_to)));
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(1)).value());
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(2)).value());
  EXPECT_TRUE(scene.world.disk.exists(scene.segment(3)).value());
  EXPECT_EQ(scene.read(up_to)->size(), 10u);
  EXPECT_EQ(scene.read(Position(0)).error().code, Code::out_of_range);
  EXPECT_EQ(scene.seal().value(), ends.back());
}

// Files of trimmed segments serve again: what they held must not be taken for what is written now.
TEST(wal, trimmed_segments_serve_again_and_their_old_bytes_count_for_nothing) {
  Scene scene;
  int64_t next = 0;
  Position end;
  Position trimmed;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 20; ++i, ++next) end = scene.append_one(batch(next, 1, 5000))->end;
    trimmed = end;
    ASSERT_TRUE(scene.world.wait(1, scene.writer->trim(scene.world.shard(1), trimmed)));
  }
  size_t segments = 0;
  size_t spares = 0;
  for (const std::string& name : scene.world.disk.list("/wal/3.7").value()) {
    if (name.ends_with(".spare.tmp")) ++spares;
    if (name.ends_with(".wal")) ++segments;
  }
  EXPECT_LE(segments, 3u);
  EXPECT_LE(spares, 2u);
  scene.world.run();
  EXPECT_GT(scene.world.disk.renames_of_spares, 3);
  const Position before = end;
  for (int i = 0; i < 3; ++i, ++next) end = scene.append_one(batch(next, 1, 5000))->end;
  const auto groups = scene.read(before);
  ASSERT_TRUE(groups) << groups.error().to_string();
  EXPECT_EQ(groups->size(), 3u);
  EXPECT_EQ(scene.seal().value(), end);
  ASSERT_TRUE(scene.world.wait(1, scene.wal->remove(scene.world.shard(1), kLane)));
  for (const std::string& name : scene.world.disk.list("/wal/3.7").value())
    EXPECT_TRUE(name == "LANE" || name == "SEAL" || name == "END") << name;
}

TEST(wal, space_is_written_ahead_of_small_commits_and_only_once) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 10)));
  scene.world.run();
  EXPECT_EQ(scene.world.disk.writes, 2) << "the commit, and zeros for the rest of the segment";
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(scene.append_one(batch(i, 1, 10)));
  scene.world.run();
  EXPECT_EQ(scene.world.disk.writes, 7);
  EXPECT_EQ(scene.read()->size(), 6u);
}

// The commit behind the zeros may be on the disk by then, but the lane ends below it.
TEST(wal, a_lane_whose_space_cannot_be_written_ahead_is_lost_without_a_false_acknowledgement) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Scene scene(seed);
    const auto first = scene.append_one(batch(0, 1, 10));
    ASSERT_TRUE(first);
    (seed % 2 ? scene.world.disk.fail_next_write : scene.world.disk.fail_next_sync) = true;
    const auto second = scene.append_one(batch(1, 1, 10));
    scene.world.run();
    if (!second) {
      ++lost;
      EXPECT_EQ(second.error().code, Code::maybe_written);
      EXPECT_EQ(scene.append_one(batch(2, 1, 10)).error().code, Code::maybe_written);
    }
    EXPECT_EQ(scene.seal().value(), second ? second->end : first->end);
    EXPECT_EQ(scene.read()->size(), second ? 2u : 1u);
  }
  EXPECT_GT(lost, 10);
}

TEST(wal, a_removed_lane_keeps_its_end_and_cannot_come_back) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 10)));
  EXPECT_EQ(scene.world.wait(1, scene.wal->remove(scene.world.shard(1), kLane)).error().code,
            Code::conflict);
  const Position end = scene.seal().value();
  ASSERT_TRUE(scene.world.wait(1, scene.wal->remove(scene.world.shard(1), kLane)));
  ASSERT_TRUE(scene.world.wait(1, scene.wal->remove(scene.world.shard(1), kLane)));
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(1)).value());
  EXPECT_EQ(scene.seal().value(), end);
  EXPECT_EQ(scene.append_one(batch(1, 1, 10)).error().code, Code::sealed);
  EXPECT_EQ(scene.world.wait(0, scene.wal->create(scene.world.shard(0), kLane)).error().code,
            Code::already_exists);
  EXPECT_TRUE(scene.read(end)->empty());
  EXPECT_EQ(scene.read(Position(0)).error().code, Code::out_of_range);
}

// A broker that dies again and again must not keep the space that each of its lives has reserved.
TEST(wal, a_sealed_lane_keeps_only_what_it_holds) {
  Scene scene;
  Position end;
  for (int i = 0; i < 9; ++i) end = scene.append_one(batch(i, 1, 5000))->end;
  scene.world.run();
  ASSERT_TRUE(scene.world.disk.exists(scene.segment(3)).value());
  EXPECT_EQ(scene.seal().value(), end);
  scene.release(end);
  EXPECT_EQ(scene.world.disk.bytes_of(scene.segment(2)).size(), kPageBytes + 2 * 8192);
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(3)).value());
  EXPECT_EQ(scene.read()->size(), 9u);
  EXPECT_EQ(scene.seal().value(), end);
  EXPECT_EQ(scene.read()->size(), 9u);
  // Its writer does not know yet: what it writes behind the end does not count.
  EXPECT_EQ(scene.append_one(batch(9, 1, 5000)).error().code, Code::sealed);
  EXPECT_EQ(scene.seal().value(), end);
  EXPECT_EQ(scene.read()->size(), 9u);
}

// What a crash between the two has left is released by the next sealer.
TEST(wal, a_lane_that_was_ended_and_not_cut_is_cut_later) {
  Scene scene;
  const Position end = scene.append_one(batch(0, 1, 5000))->end;
  scene.world.run();
  const LaneFiles files = Scene::files_on(scene.world.disk);
  ASSERT_TRUE(files.create_seal());
  ASSERT_TRUE(files.decide_end(end, "", 5));
  EXPECT_EQ(scene.seal().value(), end);
  scene.release(end);
  EXPECT_EQ(scene.world.disk.bytes_of(scene.segment(1)).size(), kPageBytes + 8192);
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(2)).value());
}

// Its header alone is damaged: what it holds is evidence, and stays.
TEST(wal, a_segment_whose_header_is_damaged_is_not_released) {
  Scene scene;
  Position end;
  for (int i = 0; i < 9; ++i) end = scene.append_one(batch(i, 1, 5000))->end;
  const LaneFiles files = Scene::files_on(scene.world.disk);
  ASSERT_TRUE(files.create_seal());
  ASSERT_TRUE(files.decide_end(end, "", 5));
  scene.world.disk.bytes_of(scene.segment(2))[20] ^= 1;
  const std::string before = scene.world.disk.bytes_of(scene.segment(2));
  (void)scene.seal();
  scene.release(end);
  ASSERT_TRUE(scene.world.disk.exists(scene.segment(2)).value());
  EXPECT_EQ(scene.world.disk.bytes_of(scene.segment(2)), before);
}

TEST(wal, reserved_space_goes_in_pieces) {
  Scene scene;
  const Position end = scene.append_one(batch(0, 1, 5000))->end;
  scene.world.run();
  scene.world.disk.bytes_of(scene.segment(2)).resize(16 << 20);
  ASSERT_TRUE(scene.seal());
  EXPECT_EQ(scene.release(end), 4);
  EXPECT_FALSE(scene.world.disk.exists(scene.segment(2)).value());
  EXPECT_EQ(scene.release(end), 1);
  EXPECT_EQ(scene.read()->size(), 1u);
}

TEST(wal, reserved_space_behind_the_end_is_not_read_by_a_sealer) {
  Scene scene;
  ASSERT_TRUE(scene.append_one(batch(0, 1, 130'000)));
  scene.world.run();
  scene.world.disk.bytes_of(scene.segment(2)).resize(64 << 20);
  scene.world.disk.bytes_read = 0;
  ASSERT_TRUE(scene.seal());
  EXPECT_LT(scene.world.disk.bytes_read, 8u << 20);
}

TEST(wal_stager, groups_stay_in_one_block_and_never_change) {
  int blocks = 0;
  Stager stager(16 << 10, [&](uint64_t bytes) {
    ++blocks;
    return Buffer::allocate(bytes);
  });
  const Slice first = stager.add(batch(0, 1, 0).header, as_bytes(std::string(9000, 'x')));
  stager.add(batch(1, 1, 0).header, as_bytes(std::string(9000, 'y')));
  stager.add(batch(2, 1, 0).header, as_bytes(std::string(50'000, 'z')));
  stager.add(batch(3, 1, 0).header, as_bytes(std::string(3000, 'w')));
  const uint64_t bytes = stager.bytes();
  const auto groups = stager.take_groups();
  EXPECT_EQ(groups.size(), 4u);
  EXPECT_EQ(blocks, 3);
  uint64_t sum = 0;
  for (const auto& group : groups) sum += group.padded_bytes();
  EXPECT_EQ(sum, bytes);
  EXPECT_EQ(as_text(first.bytes()), std::string(9000, 'x'));
}

TEST(wal_marks, are_read_back_each_stream_once) {
  const StreamId other{Uuid{{1}}, 70000};
  MarkCollector collector;
  collector.add(batch(10, 5, 0).header);
  collector.add(batch(15, 5, 0).header);
  collector.add({.stream = other, .kind = EntryKind::trim, .epoch = Epoch(3), .base = Offset(4)});
  collector.add(batch(20, 1, 0, Epoch(2)).header);
  const std::string bytes = collector.take(Position(4096));
  EXPECT_LT(bytes.size(), 60u);
  const auto marks = decode_marks(as_bytes(bytes));
  ASSERT_TRUE(marks);
  EXPECT_EQ(marks->from, Position(4096));
  ASSERT_EQ(marks->streams.size(), 2u);
  EXPECT_EQ(marks->streams[0].stream, other);
  EXPECT_EQ(marks->streams[0].start, Offset(4));
  EXPECT_EQ(marks->streams[1].stream, kStream);
  EXPECT_EQ(marks->streams[1].end, Offset(21));
  EXPECT_EQ(marks->streams[1].epoch, Epoch(2));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_marks(as_bytes(bytes.substr(0, size)))) << size;
  EXPECT_TRUE(decode_marks(as_bytes(collector.take(Position(0))))->streams.empty());
}

TEST(wal_format, an_end_is_read_back_with_its_marks_and_no_flipped_bit_is_accepted) {
  const Owner owner{.cluster_id = small_options().cluster_id, .lane = kLane};
  for (const std::string marks : {"", "whatever they are"}) {
    std::string bytes = encode_end({.owner = owner, .end = Position(8192), .marks = marks});
    ASSERT_TRUE(decode_end(as_bytes(bytes)));
    EXPECT_EQ(decode_end(as_bytes(bytes))->marks, marks);
    EXPECT_EQ(decode_end(as_bytes(bytes))->end, Position(8192));
    EXPECT_FALSE(decode_end(as_bytes(bytes + "x")));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
      EXPECT_FALSE(decode_end(as_bytes(bytes))) << bit;
      bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    }
  }
}

TEST(wal_format, one_flipped_bit_is_never_accepted) {
  std::array<std::byte, kGroupHeaderBytes> bytes;
  encode_group_header(
      {.lane = kLane, .sequence = 4, .position = Position(8192), .durable_before = Position(4096)},
      bytes);
  ASSERT_TRUE(decode_group_header(bytes));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte(1 << (bit % 8));
    EXPECT_FALSE(decode_group_header(bytes)) << bit;
    bytes[bit / 8] ^= std::byte(1 << (bit % 8));
  }
}

}  // namespace
}  // namespace paceline::wal
