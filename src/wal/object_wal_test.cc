#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/endian.h"
#include "wal/slot_put.h"
#include "wal/test_store.h"
#include "wal/wal.h"

namespace paceline::wal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Fate = TestStore::Fate;

constexpr Lane kLane{BrokerId(3), Incarnation(7)};
const Owner kOwner{.cluster_id = Uuid{{1, 2, 3}}, .lane = kLane};

std::string key_of(uint64_t sequence, Lane lane = kLane) {
  return slot_key({.cluster_id = kOwner.cluster_id, .lane = lane}, sequence);
}

Entry batch(int64_t base, size_t bytes = 100, uint32_t stream = 0) {
  Entry entry;
  entry.header = {.stream = StreamId{Uuid{{9}}, stream},
                  .epoch = Epoch(1),
                  .base = Offset(base),
                  .count = 1,
                  .producer_id = 77};
  entry.payload = Slice::copy_of(as_bytes(std::string(bytes, static_cast<char>('a' + base % 26))));
  return entry;
}

// A writer's host and another one, with a store between them.
struct Scene {
  explicit Scene(uint64_t seed = 1, size_t puts_max = 4)
      : world(seed), store(world), here(world.add_host("here")), there(world.add_host("there")) {
    here.start(1);
    there.start(1);
    counters = std::make_shared<ObjectWalCounters>();
    ObjectWalOptions options{.cluster_id = kOwner.cluster_id, .counters = counters};
    options.puts_max = puts_max;
    options.slot_bytes_max = 8 << 10;
    wal = make_object_wal(store, options);
    writer = open(kLane);
    store.gets.clear();
  }
  ~Scene() {
    here.stop();
    there.stop();
  }
  std::unique_ptr<Writer> open(Lane lane) {
    auto made = wait(here, wal->create(here.shard(0), lane));
    CHECK(made.has_value());
    return std::move(*made);
  }
  template <class T>
  T wait(env::SimHost& on, Task<T> task) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await std::move(inner));
    };
    on.shard(0).spawn(body(std::move(task), value));
    CHECK(world.run_until([&] { return value.has_value(); }, std::chrono::hours(2)));
    return std::move(*value);
  }
  Result<Written> append(Entry entry) {
    return wait(here, writer->append(here.shard(0), std::vector<Entry>(1, std::move(entry))));
  }
  // Appends without waiting for it.
  void start_append(Entry entry) {
    auto one = [](Scene& scene, size_t index, Entry what) -> Task<void> {
      std::vector<Entry> entries(1, std::move(what));
      auto written = co_await scene.writer->append(scene.here.shard(0), std::move(entries));
      scene.results[index] = written ? std::optional<Code>() : written.error().code;
      if (written) scene.acknowledged.push_back(index);
    };
    here.shard(0).spawn(one(*this, started++, std::move(entry)));
  }
  Result<Position> seal(Lane lane = kLane, Position trimmed = Position(0)) {
    return wait(there, wal->seal(there.shard(0), lane, trimmed));
  }
  Result<std::vector<Group>> read(Position from, std::optional<Position> end, Lane lane = kLane) {
    auto body = [](Wal& log, env::Shard& shard, Lane which, Position start,
                   std::optional<Position> known) -> Task<Result<std::vector<Group>>> {
      CO_TRY(auto reader, co_await log.read(shard, which, start, known));
      std::vector<Group> groups;
      for (;;) {
        CO_TRY(auto group, co_await reader->next());
        if (!group) co_return groups;
        groups.push_back(std::move(*group));
      }
    };
    return wait(there, body(*wal, there.shard(0), lane, from, end));
  }
  size_t slots_put() const {
    size_t count = 0;
    for (const auto& [key, times] : store.puts) count += parse_slot_key(kOwner, key) ? 1 : 0;
    return count;
  }
  void flip(uint64_t sequence, size_t at) { store.objects.at(key_of(sequence)).body.at(at) ^= 1; }

  env::SimWorld world;
  TestStore store;
  env::SimHost& here;
  env::SimHost& there;
  std::shared_ptr<ObjectWalCounters> counters;
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Writer> writer;
  size_t started = 0;
  std::map<size_t, std::optional<Code>> results;
  std::vector<size_t> acknowledged;  // in order
};

TEST(object_wal, a_lost_answer_is_read_back_and_is_no_fence) {
  Scene scene;
  scene.store.next_puts = {Fate::lose_after, Fate::fine, Fate::lose, Fate::lose_after};
  ASSERT_TRUE(scene.append(batch(0)));
  EXPECT_EQ(scene.store.puts[key_of(0)], 2);
  EXPECT_EQ(scene.store.gets[key_of(0)], 1);
  ASSERT_TRUE(scene.append(batch(1)));
  EXPECT_EQ(scene.counters->fences, 0u);
  EXPECT_EQ(scene.store.broken_rule, "");
  EXPECT_EQ(scene.read(Position(0), scene.seal().value())->size(), 2u);
}

TEST(object_wal, in_the_good_case_an_acknowledgement_is_one_request) {
  Scene scene;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(scene.append(batch(i)));
  EXPECT_EQ(scene.counters->puts, 20u);
  EXPECT_EQ(scene.counters->slots, 20u);
  EXPECT_TRUE(scene.store.gets.empty());
}

TEST(object_wal, a_conflict_is_neither_success_nor_a_fence) {
  Scene scene;
  scene.store.next_puts = {Fate::conflict, Fate::conflict, Fate::conflict};
  ASSERT_TRUE(scene.append(batch(0)));
  EXPECT_EQ(scene.store.puts[key_of(0)], 4);
  EXPECT_TRUE(scene.store.objects.contains(key_of(0)));
}

TEST(object_wal, the_slot_of_a_sealer_is_never_taken_for_ours) {
  Scene scene;
  ASSERT_TRUE(scene.append(batch(0)));
  EXPECT_EQ(scene.seal().value(), Position(1));
  scene.store.next_puts = {Fate::lose, Fate::conflict};
  EXPECT_EQ(scene.append(batch(1)).error().code, Code::sealed);
  EXPECT_EQ(scene.counters->fences, 1u);
}

// It slept while the answer came. What was said then may be of a lane that is another's by now.
TEST(object_wal, an_answer_that_a_sleeper_hears_too_late_is_not_an_acknowledgement) {
  Scene scene;
  scene.start_append(batch(0));
  scene.world.run_for(milliseconds(1));
  ASSERT_EQ(scene.store.puts[key_of(0)], 1);
  scene.here.pause(seconds(100));
  scene.world.run_for(seconds(99));
  ASSERT_TRUE(scene.store.objects.contains(key_of(0)));
  scene.world.run_for(seconds(20));
  EXPECT_EQ(scene.acknowledged.size(), 1u);
  EXPECT_GE(scene.store.gets[key_of(0)], 1) << "the slot is read first";
}

TEST(object_wal, a_put_that_is_never_answered_is_made_again) {
  Scene scene;
  scene.store.next_puts = {Fate::silent, Fate::silent, Fate::land_late};
  ASSERT_TRUE(scene.append(batch(0)));
  EXPECT_EQ(scene.store.broken_rule, "");
}

TEST(object_wal, an_idle_append_leaves_at_once_and_what_follows_waits_for_the_window) {
  Scene scene;
  scene.store.faults.latency_max = seconds(10);
  scene.start_append(batch(0));
  scene.world.run_for(milliseconds(1));
  EXPECT_EQ(scene.slots_put(), 1u);
  for (int i = 1; i < 5; ++i) scene.start_append(batch(i));
  scene.world.run_for(milliseconds(20));
  EXPECT_EQ(scene.slots_put(), 1u);
  scene.world.run_for(milliseconds(10));
  EXPECT_EQ(scene.slots_put(), 2u) << "25 ms";
  scene.start_append(batch(5, 5000));
  scene.start_append(batch(6, 5000));
  scene.world.run_for(milliseconds(1));
  EXPECT_EQ(scene.slots_put(), 3u) << "the next does not fit";
  scene.world.run_for(std::chrono::minutes(10));
  EXPECT_EQ(scene.acknowledged.size(), 7u);
}

TEST(object_wal, nothing_gathers_for_longer_than_half_a_put_of_late) {
  Scene scene;
  scene.store.faults.latency_max = milliseconds(1);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(scene.append(batch(i)));
  scene.store.faults.latency_max = seconds(10);
  scene.start_append(batch(20));
  scene.world.run_for(std::chrono::microseconds(50));
  const size_t before = scene.slots_put();
  scene.start_append(batch(21));
  scene.world.run_for(milliseconds(2));
  EXPECT_EQ(scene.slots_put(), before + 1);
}

TEST(object_wal, what_waits_leaves_as_soon_as_nothing_is_on_its_way) {
  Scene scene;
  scene.store.faults.latency_max = milliseconds(1);
  scene.start_append(batch(0));
  scene.world.run_for(std::chrono::microseconds(100));
  scene.start_append(batch(1));
  scene.world.run_for(milliseconds(50));
  EXPECT_EQ(scene.acknowledged.size(), 2u);
}

TEST(object_wal, acknowledgements_come_in_order_whatever_comes_back_first) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Scene scene(seed);
    scene.store.faults.latency_max = milliseconds(200);
    scene.store.faults.lose = scene.store.faults.refuse = 0.3;
    for (int i = 0; i < 40; ++i) {
      scene.start_append(batch(i, 3000));
      scene.world.run_for(milliseconds(10));
    }
    scene.world.run_for(std::chrono::minutes(10));
    ASSERT_EQ(scene.acknowledged.size(), 40u);
    EXPECT_TRUE(std::ranges::is_sorted(scene.acknowledged));
  }
}

TEST(object_wal, a_store_that_is_gone_for_ten_minutes_loses_nothing_and_memory_is_bounded) {
  Scene scene;
  scene.store.faults.gone = true;
  for (int i = 0; i < 200; ++i) scene.start_append(batch(i, 3000));
  scene.world.run_for(std::chrono::minutes(10));
  EXPECT_TRUE(scene.acknowledged.empty());
  EXPECT_EQ(scene.slots_put(), 4u) << "the rest waits in its callers' memory";
  EXPECT_EQ(scene.counters->un_acked, 4u);
  const uint64_t puts = scene.counters->puts;
  EXPECT_LT(puts, 4u * 250) << "no storm";
  scene.store.faults.gone = false;
  scene.world.run_for(seconds(10));
  EXPECT_EQ(scene.acknowledged.size(), 200u);
  EXPECT_EQ(scene.counters->un_acked, 0u);
}

TEST(object_wal, a_living_writer_cannot_keep_a_sealer_from_the_end) {
  uint64_t most = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Scene scene(seed, 8);
    scene.store.faults.tail = 0;  // nothing gives the sealer a start
    auto flood = [](Scene& world, uint32_t stream) -> Task<void> {
      for (int64_t base = 0;; ++base) {
        std::vector<Entry> entries(1, batch(base, 7000, stream));
        if (!co_await world.writer->append(world.here.shard(0), std::move(entries))) co_return;
      }
    };
    for (uint32_t stream = 0; stream < 20; ++stream)
      scene.here.shard(0).spawn(flood(scene, stream));
    scene.world.run_for(milliseconds(500));
    const Position before = scene.writer->durable_end();
    const Position end = scene.seal().value();
    most = std::max(most, end - before);
    scene.world.run_for(seconds(10));
    EXPECT_EQ(scene.counters->fences, 1u);
    EXPECT_LE(scene.writer->durable_end(), end);
    EXPECT_EQ(scene.read(Position(0), end)->size(), end.value);
    size_t seals = 0;
    for (const auto& [key, object] : scene.store.objects)
      seals += parse_slot_key(kOwner, key) && object.body.size() == kSlotHeaderBytes ? 1 : 0;
    EXPECT_LE(seals, 3u);
  }
  EXPECT_LT(most, 1000u);
  fmt::print("slots written while it was sealed: at most {}\n", most);
}

TEST(object_wal, what_a_zombie_wrote_beyond_the_seal_is_void_in_the_middle_of_three_lanes) {
  Scene scene;
  const Lane lanes[] = {
      {BrokerId(1), Incarnation(1)}, {BrokerId(1), Incarnation(2)}, {BrokerId(1), Incarnation(3)}};
  std::map<Lane, Position> ends;
  int64_t base = 0;
  for (const Lane lane : lanes) {
    scene.writer = scene.open(lane);
    for (int i = 0; i < 3; ++i, ++base) ASSERT_TRUE(scene.append(batch(base)));
    if (lane == lanes[1]) {
      // Its next slot is lost on the way, those behind it arrive; then it is sealed.
      for (int i = 0; i < 8; ++i) scene.store.next_puts.push_back(i == 0 ? Fate::lose : Fate::fine);
      for (int i = 0; i < 3; ++i) {
        scene.start_append(batch(base + i, 5000));
        scene.world.run_for(milliseconds(30));
      }
      scene.here.pause(seconds(100));
      scene.world.run_for(seconds(1));
      ASSERT_TRUE(scene.store.objects.contains(key_of(4, lane)));
      ASSERT_FALSE(scene.store.objects.contains(key_of(3, lane)));
    }
    ends[lane] = scene.seal(lane).value();
    scene.world.run_for(seconds(200));
  }
  EXPECT_TRUE(scene.acknowledged.empty());
  for (int64_t next = 0; const Lane lane : lanes) {
    EXPECT_EQ(ends[lane], Position(3));
    const auto told = scene.read(Position(0), ends[lane], lane);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->size(), 3u);
    for (const Group& group : *told)
      for (const Entry& entry : group.entries) EXPECT_EQ(entry.header.base, Offset(next++));
    EXPECT_EQ(scene.read(Position(0), std::nullopt, lane)->size(), 3u) << "looking stops there too";
  }
}

TEST(object_wal, a_slot_that_lands_after_the_lane_was_removed_finds_the_seal) {
  Scene scene;
  ASSERT_TRUE(scene.append(batch(0)));
  scene.store.next_puts = {Fate::land_late};
  scene.start_append(batch(1));
  scene.world.run_for(milliseconds(1));
  scene.here.pause(seconds(300));
  ASSERT_EQ(scene.seal().value(), Position(1));
  ASSERT_TRUE(scene.wait(scene.there, scene.wal->remove(scene.there.shard(0), kLane)));
  EXPECT_FALSE(scene.store.objects.contains(key_of(0)));
  scene.world.run_for(seconds(600));
  EXPECT_EQ(scene.results.at(0), Code::sealed);
}

TEST(object_wal, trimmed_slots_are_deleted_in_the_background_and_the_rest_stays) {
  Scene scene;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(scene.append(batch(i)));
  scene.store.faults.gone = true;
  ASSERT_TRUE(scene.wait(scene.here, scene.writer->trim(scene.here.shard(0), Position(6))));
  scene.world.run_for(seconds(30));
  scene.store.faults.gone = false;
  EXPECT_EQ(scene.store.objects.size(), 10u);
  scene.world.run_for(seconds(10));
  EXPECT_EQ(scene.store.objects.size(), 4u);
  EXPECT_EQ(scene.writer->slots_since(Position(6)), 4u);
  EXPECT_EQ(scene.seal(kLane, Position(6)).value(), Position(10));
  EXPECT_EQ(scene.read(Position(6), Position(10))->size(), 4u);
}

TEST(object_wal, a_missing_slot_is_looked_for_and_then_told_and_never_passed_over) {
  Scene scene;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(scene.append(batch(i)));
  const Position end = scene.seal().value();
  const auto kept = scene.store.objects.at(key_of(2));
  scene.store.objects.erase(key_of(2));
  const auto groups = scene.read(Position(0), end);
  ASSERT_FALSE(groups);
  EXPECT_EQ(groups.error().code, Code::corrupt);
  EXPECT_NE(groups.error().message.find("slot 2 of lane 3.7 is missing"), std::string::npos)
      << groups.error().message;
  scene.world.after(seconds(1), [&] { scene.store.objects[key_of(2)] = kept; });
  EXPECT_EQ(scene.read(Position(0), end)->size(), 5u);
}

TEST(object_wal, the_end_of_a_lane_never_comes_from_a_list) {
  Scene scene;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(scene.append(batch(i)));
  scene.store.faults.stale_list = 1;
  EXPECT_EQ(scene.seal().value(), Position(5));
  EXPECT_EQ(scene.counters->lists, 0u);
}

TEST(object_wal, damage_is_told_with_the_streams_that_its_index_names) {
  for (const size_t at : {kSlotHeaderBytes + 10, size_t{5}}) {  // an entry, the header
    Scene scene;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(scene.append(batch(i)));
    const Position end = scene.seal().value();
    scene.flip(3, at);
    const auto groups = scene.read(Position(0), end);
    ASSERT_TRUE(groups) << groups.error().to_string();
    ASSERT_EQ(groups->size(), 4u);
    EXPECT_TRUE(groups->back().entries.empty());
    ASSERT_EQ(groups->back().before.size(), 1u);
    const Damage& damage = groups->back().before[0];
    EXPECT_TRUE(damage.known);
    EXPECT_NE(damage.why.find("slot 3"), std::string::npos) << damage.why;
    ASSERT_EQ(damage.streams.size(), 1u);
    EXPECT_EQ(damage.streams[0].end, Offset(4));
    EXPECT_EQ(scene.seal().value(), end);
  }
}

TEST(object_wal, the_slot_behind_a_damaged_one_tells_of_it_when_its_index_is_lost_too) {
  Scene scene;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(scene.append(batch(i)));
  const Position end = scene.seal().value();
  const size_t bytes = scene.store.objects.at(key_of(1)).body.size();
  scene.flip(1, bytes - kSlotTrailerBytes - 3);  // the index
  auto groups = scene.read(Position(0), end);
  ASSERT_EQ(groups->size(), 3u);
  ASSERT_EQ(groups->at(1).before.size(), 1u);
  EXPECT_TRUE(groups->at(1).before[0].known);
  EXPECT_EQ(groups->at(1).before[0].streams.at(0).end, Offset(2));
  // The last one has nobody behind it.
  scene.flip(3, scene.store.objects.at(key_of(3)).body.size() - kSlotTrailerBytes - 3);
  groups = scene.read(Position(0), end);
  EXPECT_FALSE(groups->back().before.at(0).known);
}

TEST(object_wal, a_slot_of_another_writer_is_refused) {
  Scene scene;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(scene.append(batch(i)));
  std::string& body = scene.store.objects.at(key_of(1)).body;
  auto header = decode_slot_header(as_bytes(body));
  ++header->nonce.high;
  body.replace(0, kSlotHeaderBytes, encode_slot_header(*header));
  EXPECT_EQ(scene.read(Position(0), scene.seal().value()).error().code, Code::corrupt);
}

TEST(object_wal, a_lane_whose_slot_another_writer_has_is_over) {
  Scene scene;
  ASSERT_TRUE(scene.append(batch(0)));
  scene.store.objects[key_of(1)] = scene.store.objects.at(key_of(0));
  std::string& body = scene.store.objects.at(key_of(1)).body;
  auto header = decode_slot_header(as_bytes(body));
  ++header->nonce.high;
  header->sequence = 1;
  body.replace(0, kSlotHeaderBytes, encode_slot_header(*header));
  EXPECT_EQ(scene.append(batch(1)).error().code, Code::sealed);
}

TEST(object_wal, closing_while_the_store_is_gone_ends_and_says_what_is_not_known) {
  Scene scene;
  ASSERT_TRUE(scene.append(batch(0)));
  scene.store.faults.gone = true;
  for (int i = 1; i < 40; ++i) scene.start_append(batch(i, 3000));
  scene.world.run_for(seconds(5));
  auto close = [](Writer& writer, env::Shard& shard) -> Task<int> {
    co_await writer.close(shard);
    co_return 1;
  };
  scene.wait(scene.here, close(*scene.writer, scene.here.shard(0)));
  scene.world.run_for(milliseconds(10));
  ASSERT_EQ(scene.results.size(), 39u);
  std::set<Code> codes;
  for (const auto& [index, code] : scene.results) codes.insert(code.value());
  EXPECT_EQ(codes, (std::set<Code>{Code::maybe_written, Code::closed}));
  const uint64_t puts = scene.counters->puts;
  scene.writer.reset();
  scene.world.run_for(std::chrono::minutes(5));
  EXPECT_EQ(scene.counters->puts, puts) << "nobody asks the store any more";
}

TEST(object_wal, one_ranged_read_at_the_end_tells_what_a_slot_holds) {
  Scene scene;
  scene.store.faults.latency_max = seconds(1);
  scene.start_append(batch(0));
  scene.world.run_for(milliseconds(1));
  for (uint32_t stream = 0; stream < 3; ++stream)
    scene.start_append(batch(stream == 0, 50, stream));
  scene.world.run_for(std::chrono::minutes(1));
  const std::string& body = scene.store.objects.at(key_of(1)).body;
  const Bytes all = as_bytes(body);
  const auto trailer = decode_slot_trailer(all.last(kSlotTrailerBytes));
  ASSERT_TRUE(trailer);
  const auto rows =
      decode_slot_index(all.first(all.size() - kSlotTrailerBytes).last(trailer->index_bytes));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 3u);
  for (const SlotRow& row : *rows) {
    EXPECT_EQ(row.entry_count, 1u);
    EXPECT_EQ(row.producers, std::vector<uint64_t>{77});
    // Where it says, the entry stands.
    const Bytes entry = all.subspan(row.position);
    EXPECT_EQ(load_be<uint32_t>(entry.data() + 16), row.stream.index);
    EXPECT_EQ(load_be<int64_t>(entry.data() + 28), row.base->value);
  }
}

TEST(slot_put, what_an_answer_says_of_a_slot) {
  const auto answered = [](Result<void> result, bool late) {
    Answer<void> answer;
    answer.result = std::move(result);
    answer.late = late;
    return after_put(answer);
  };
  EXPECT_EQ(answered({}, false), SlotStep::ours);
  EXPECT_EQ(answered({}, true), SlotStep::read_back);
  EXPECT_EQ(answered(fail(Code::already_exists, ""), false), SlotStep::read_back);
  for (const Code code : {Code::conflict, Code::maybe_written, Code::unavailable, Code::timed_out,
                          Code::permission_denied, Code::no_space, Code::io_error})
    EXPECT_EQ(answered(fail(code, ""), false), SlotStep::put_again) << code_name(code);
  EXPECT_EQ(after_put(Answer<void>{}), SlotStep::put_again);
}

TEST(slot_put, what_is_read_back_says_whose_a_slot_is) {
  const Nonce ours{.high = 1, .low = 2};
  SlotHeader header{.owner = kOwner, .sequence = 5, .nonce = ours, .trimmed = {}, .sealer = {}};
  const auto read = [&](const SlotHeader& there) {
    Answer<Slice> answer;
    answer.result.emplace(Slice::copy_of(as_bytes(encode_slot_header(there))));
    std::optional<SlotHeader> found;
    return after_read(answer, kOwner, 5, ours, found);
  };
  EXPECT_EQ(read(header), SlotStep::ours);
  header.nonce.low = 3;
  EXPECT_EQ(read(header), SlotStep::others);
  header.kind = SlotKind::seal;
  EXPECT_EQ(read(header), SlotStep::others);
  header.kind = SlotKind::end;
  EXPECT_EQ(read(header), SlotStep::read_back) << "of another key";
  header = {.owner = kOwner, .sequence = 6, .nonce = ours, .trimmed = {}, .sealer = {}};
  EXPECT_EQ(read(header), SlotStep::read_back) << "of another slot";
  Answer<Slice> absent;
  absent.result.emplace(fail(Code::not_found, ""));
  std::optional<SlotHeader> found;
  EXPECT_EQ(after_read(absent, kOwner, 5, ours, found), SlotStep::put_again);
}

TEST(slot_format, only_a_slot_with_streams_that_come_or_go_needs_the_newer_format) {
  SlotHeader header{.owner = kOwner, .sequence = 5, .nonce = {}, .trimmed = {}, .sealer = {}};
  EXPECT_EQ(decode_slot_header(as_bytes(encode_slot_header(header)))->version, 1u);
  header.version = kMovingVersion;
  EXPECT_EQ(decode_slot_header(as_bytes(encode_slot_header(header)))->version, kMovingVersion);
  header.version = kSlotVersion + 1;
  EXPECT_FALSE(decode_slot_header(as_bytes(encode_slot_header(header))));
}

TEST(slot_format, headers_and_trailers_are_read_back_and_no_flipped_bit_is_accepted) {
  const SlotHeader header{.kind = SlotKind::seal,
                          .owner = kOwner,
                          .sequence = 1234567,
                          .nonce = {.high = 5, .low = 6},
                          .trimmed = Position(9),
                          .entry_count = 1,
                          .entries_bytes = 2,
                          .entries_crc = 3,
                          .index_bytes = 4,
                          .index_crc = 5,
                          .sealer = {BrokerId(8), Incarnation(9)}};
  std::string bytes = encode_slot_header(header);
  ASSERT_EQ(bytes.size(), kSlotHeaderBytes);
  const auto read = decode_slot_header(as_bytes(bytes));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, SlotKind::seal);
  EXPECT_EQ(read->owner, kOwner);
  EXPECT_EQ(read->sequence, 1234567u);
  EXPECT_EQ(read->nonce, header.nonce);
  EXPECT_EQ(read->trimmed, Position(9));
  EXPECT_EQ(read->entries_bytes, 2u);
  EXPECT_EQ(read->index_crc, 5u);
  EXPECT_EQ(read->sealer, header.sealer);
  std::string trailer = encode_slot_trailer({.sequence = 7, .index_bytes = 8, .index_crc = 9});
  ASSERT_EQ(trailer.size(), kSlotTrailerBytes);
  EXPECT_EQ(decode_slot_trailer(as_bytes(trailer))->index_bytes, 8u);
  const auto flips = [](std::string& text, auto accepted) {
    for (size_t bit = 0; bit < text.size() * 8; ++bit) {
      text[bit / 8] ^= static_cast<char>(1 << (bit % 8));
      EXPECT_FALSE(accepted(as_bytes(text))) << bit;
      text[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    }
  };
  flips(bytes, [](Bytes some) { return decode_slot_header(some).has_value(); });
  flips(trailer, [](Bytes some) { return decode_slot_trailer(some).has_value(); });
}

TEST(slot_format, an_index_is_read_back_by_stream_with_each_producer_once) {
  SlotIndexer indexer;
  const auto add = [&](uint32_t stream, int64_t base, uint64_t producer, uint32_t position) {
    Entry entry = batch(base, 0, stream);
    entry.header.producer_id = producer;
    indexer.add(entry.header, position);
  };
  add(2, 10, 5, 128);
  add(1, 7, 6, 200);
  add(2, 11, 4, 300);
  add(2, 12, 5, 400);
  indexer.add({.stream = StreamId{Uuid{{8}}, 1},
               .kind = EntryKind::trim,
               .epoch = Epoch(3),
               .base = Offset(4)},
              500);
  const auto rows = indexer.take();
  const std::string bytes = encode_slot_index(rows);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].start, Offset(4));
  EXPECT_FALSE(rows[0].end);
  EXPECT_EQ(rows[2].base, Offset(10));
  EXPECT_EQ(rows[2].end, Offset(13));
  EXPECT_EQ(rows[2].position, 128u);
  EXPECT_EQ(rows[2].producers, (std::vector<uint64_t>{4, 5}));
  EXPECT_EQ(decode_slot_index(as_bytes(bytes)), rows);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_slot_index(as_bytes(bytes.substr(0, size)))) << size;
  EXPECT_TRUE(indexer.take().empty());
}

TEST(slot_format, a_key_names_one_slot_in_one_spelling) {
  for (const uint64_t sequence : {uint64_t{0}, uint64_t{255}, ~uint64_t{0}})
    EXPECT_EQ(parse_slot_key(kOwner, slot_key(kOwner, sequence)), sequence);
  EXPECT_LT(slot_key(kOwner, 255), slot_key(kOwner, 256));
  const std::string prefix = slots_prefix(kOwner);
  for (const std::string& key : {end_key(kOwner), prefix + "00000000000000FF", prefix + "ff",
                                 prefix + "00000000000000+f", slot_key({}, 1)})
    EXPECT_FALSE(parse_slot_key(kOwner, key)) << key;
}

}  // namespace
}  // namespace paceline::wal
