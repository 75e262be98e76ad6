#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "stream/object_builder.h"
#include "stream/recovery.h"
#include "stream/test_world.h"

// A broker's storage on a TestWorld, registered as a cluster would, with streams whose content is a
// function of their offsets: what is read back can be judged without a copy.

namespace paceline::stream {

inline StreamId stream_id(uint32_t index) {
  return {Uuid{{7}}, index};
}

inline uint32_t count_at(int64_t base) {
  return 1 + static_cast<uint32_t>(base * 7 % 5);
}
inline std::string payload_at(uint32_t index, int64_t base) {
  std::string text = fmt::format("{}:{}:", index, base);
  text.resize(text.size() + static_cast<size_t>(base * 131 % 700),
              static_cast<char>('a' + base % 26));
  return text;
}
inline Batch batch_at(uint32_t index, int64_t base, Epoch epoch) {
  return {.base = Offset(base),
          .count = count_at(base),
          .epoch = epoch,
          .append_time_ms = 1000 + base,
          .max_timestamp = 5000 + base,
          .bytes = Slice::copy_of(as_bytes(payload_at(index, base)))};
}

// A running hash of all batches below each offset.
class HashOwner final : public StateOwner {
 public:
  std::string snapshot(Offset end) override { return by_end_.at(end.value); }
  void take_in(const Recovered& recovered) {
    by_end_ = {{recovered.snapshot_end.value, recovered.snapshot}};
    last_ = recovered.snapshot;
    for (const Batch& batch : recovered.tail) apply(batch);
  }
  void apply(const Batch& batch) {
    last_ = step(last_, as_text(batch.bytes.bytes()));
    by_end_[batch.end().value] = last_;
  }
  const std::string& last() const { return last_; }
  static std::string step(const std::string& before, std::string_view payload) {
    return fmt::format("{:x}", std::hash<std::string>{}(before + std::string(payload)));
  }
  // Of a stream up to `end`.
  static std::string expected(uint32_t index, int64_t end) {
    std::string hash;
    for (int64_t base = 0; base < end; base += count_at(base))
      hash = step(hash, payload_at(index, base));
    return hash;
  }

 private:
  std::map<int64_t, std::string> by_end_;
  std::string last_;
};

struct Events {
  std::map<std::string, int> counts;
  std::vector<std::string> lines;
};

class House {
 public:
  static constexpr BrokerId kBroker{3};

  explicit House(uint64_t seed, unsigned shard_count = 2) : world(seed, shard_count) {
    set_log_level(LogLevel::off);  // failing stores are what the tests are about
    options.cluster_id = Uuid{{1, 2}};
    options.upload_bytes = 20'000;
    options.upload_age_ms = 500;
    options.block_bytes = 2000;
    options.log_cache_bytes = 30'000;
    options.block_cache_bytes = 40'000;
    options.delete_grace_ms = 2000;
    options.checkpoint_uploads = 3;
    options.compaction_object_bytes = 16'000;
    options.compaction_bytes = 40'000;
    options.compaction_fan_in = 4;
  }
  ~House() { crash(); }

  TestWorld world;
  TestWal wal;
  TestObjects objects;
  std::optional<ObjectStores> stores;  // in place of `objects`
  TestMeta meta;
  std::unique_ptr<wal::Wal> slots;  // the log in use, if it is one on objects
  Options options;
  Events events;
  std::unique_ptr<Storage> storage;
  struct Opened {
    Stream* stream = nullptr;
    HashOwner owner;
    size_t shard = 0;
  };
  std::map<uint32_t, std::unique_ptr<Opened>> open_streams;
  Epoch epoch{0};

  void use_object_wal() {
    wal::ObjectWalOptions chosen{.cluster_id = options.cluster_id};
    chosen.slot_bytes_max = 4000;
    chosen.block_bytes = 16 << 10;
    slots = wal::make_object_wal(objects, chosen);
  }
  wal::Wal& log() { return slots ? *slots : wal; }
  Result<void> start() {
    const uint64_t incarnation = static_cast<uint64_t>(++epoch.value);
    const Lane lane{kBroker, Incarnation(incarnation)};
    if (incarnation > 1) {
      const std::string before = meta::lane_key({kBroker, Incarnation(incarnation - 1)});
      auto record = meta::decode<meta::LaneRecord>(meta.entries.at(before).value);
      record->sealed = true;
      record->successors = {{.lane = lane, .capacity = 1, .zone = ""}};
      meta.put(before, meta::encode(*record));
    }
    meta.put(meta::lane_key(lane), meta::encode(meta::LaneRecord{}));
    options.lane = lane;
    auto sink = [this](Event event) {
      ++events.counts[std::string(event.type)];
      events.lines.push_back(to_text(event));
    };
    const ObjectStores all = stores.value_or(ObjectStores(objects));
    auto started = world.wait(0, Storage::start(world.shards(), meta, all, log(), options, sink));
    if (!started) return fail(started.error());
    storage = std::move(*started);
    return {};
  }
  Result<Stream*> open(uint32_t index) {
    auto opened = std::make_unique<Opened>();
    opened->shard = index % world.shards().size();
    auto opening = [](House& house, Opened& into, uint32_t which) -> Task<Result<Stream*>> {
      CO_TRY(Storage::Opened got, co_await house.storage->open(house.world.shard(into.shard),
                                                               stream_id(which), into.owner));
      into.owner.take_in(got.recovered);
      into.stream = got.stream;
      co_return got.stream;
    };
    TRY(Stream * stream, world.wait(opened->shard, opening(*this, *opened, index)));
    open_streams[index] = std::move(opened);
    return stream;
  }
  void close(uint32_t index) {
    const size_t shard = open_streams.at(index)->shard;
    world.wait_void(shard, storage->close(world.shard(shard), stream_id(index)));
    open_streams.erase(index);
  }
  // Appends `count` batches, one after the other.
  Task<Result<void>> append(uint32_t index, int count) {
    Opened& opened = *open_streams.at(index);
    for (int i = 0; i < count; ++i) {
      const Batch batch = batch_at(index, opened.stream->end().value, epoch);
      std::vector<Batch> batches{batch};
      CO_TRY(Position at, co_await opened.stream->append(std::move(batches)));
      (void)at;
      opened.owner.apply(batch);
    }
    co_return Result<void>{};
  }
  Result<void> append_now(uint32_t index, int count) {
    return world.wait(open_streams.at(index)->shard, append(index, count));
  }
  Result<void> upload() { return world.wait(0, storage->upload_now(world.shard(0))); }
  void crash() {
    world.crash();
    storage.reset();
    open_streams.clear();
    world.crash();  // what the destructors have posted
  }
  // Reads everything from the start to the end and compares it with what was written.
  Result<void> verify(uint32_t index) {
    Opened& opened = *open_streams.at(index);
    Offset at = opened.stream->start();
    while (at < opened.stream->end()) {
      ReadRequest request{.from = at, .bytes_max = 1 + world.random.below(6000)};
      TRY(ReadResult result, world.wait(opened.shard, opened.stream->read(request)));
      if (result.batches.empty())
        return fail(Code::corrupt, fmt::format("nothing at {}", at.value));
      if (result.batches.front().base > at)
        return fail(Code::corrupt, fmt::format("a hole at {}", at.value));
      if (at != opened.stream->start() && result.batches.front().base != at)
        return fail(Code::corrupt, fmt::format("twice at {}", at.value));
      for (const Batch& batch : result.batches) {
        const int64_t base = batch.base.value;
        if (batch.count != count_at(base) ||
            as_text(batch.bytes.bytes()) != payload_at(index, base) ||
            batch.append_time_ms != 1000 + base || batch.max_timestamp != 5000 + base)
          return fail(Code::corrupt, fmt::format("another batch at {}", base));
        at = batch.end();
      }
    }
    if (at != opened.stream->end()) return fail(Code::corrupt, "more than there is");
    if (opened.owner.last() != HashOwner::expected(index, at.value))
      return fail(Code::corrupt, fmt::format("another state at {}", at.value));
    return {};
  }
  Inspected inspected() { return {&world.shard(0), &meta, &objects, &log(), kBroker}; }
  CheckReport check_now() { return world.wait(0, check(inspected())).value(); }
};

inline std::string reasons(const CheckReport& report) {
  std::string all;
  for (const std::string& problem : report.problems) all += problem + "\n";
  for (const StreamReport& stream : report.streams)
    for (const std::string& problem : stream.problems) all += problem + "\n";
  return all;
}

}  // namespace paceline::stream
