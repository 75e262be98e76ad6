#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "partition/partition.h"
#include "record/records.h"
#include "stream/test_world.h"

// A stream in memory whose appends succeed and fail as the test says, and a partition on it.

namespace paceline::partition {

class TestStream final : public stream::Stream {
 public:
  TestStream(env::Shard& shard, StreamId id) : shard_(shard), id_(id), moved_(shard) {}

  std::vector<stream::Batch> batches;
  Offset start_at{0};
  Offset retained_from{0};  // what retention_start() answers
  stream::RetentionLimits asked;
  bool hold = false;    // appends wait for release()
  bool sealed = false;  // what confirm() says
  int confirmed = 0;
  std::deque<Code> failures;  // of the next appends
  std::string snapshot;
  Offset snapshot_end{0};

  void release() {
    hold = false;
    moved_.notify_all();
  }
  StreamId id() const override { return id_; }
  Offset start() const override { return start_at; }
  Offset end() const override { return batches.empty() ? Offset{0} : batches.back().end(); }
  uint64_t bytes() const override { return 0; }
  Task<Result<Position>> append(std::vector<stream::Batch> more) override {
    while (hold) co_await moved_.wait();
    co_await env::yield(shard_);
    if (!failures.empty()) {
      const Code code = failures.front();
      failures.pop_front();
      co_return fail(code, "as the test wants it");
    }
    for (stream::Batch& batch : more) {
      if (batch.base != end()) co_return fail(Code::conflict, "a hole");
      batches.push_back(std::move(batch));
    }
    co_return Position(static_cast<uint64_t>(end().value));
  }
  void expect(Offset) override {}
  Task<Result<stream::ReadResult>> read(stream::ReadRequest request) override {
    co_await env::yield(shard_);
    if (request.from < start() || request.from > end())
      co_return fail(Code::out_of_range, "outside");
    stream::ReadResult result{.batches = {}, .start = start(), .end = end()};
    size_t bytes = 0;
    for (const stream::Batch& batch : batches) {
      if (batch.end() <= request.from) continue;
      bytes += batch.bytes.size();
      if (bytes > request.bytes_max && !(result.batches.empty() && request.at_least_one)) break;
      result.batches.push_back(batch);
    }
    co_return result;
  }
  Task<Result<void>> trim(Offset new_start) override {
    co_await env::yield(shard_);
    start_at = new_start;
    co_return Result<void>{};
  }
  Task<Result<void>> confirm() override {
    co_await env::yield(shard_);
    ++confirmed;
    if (sealed) co_return fail(Code::sealed, "the lane was sealed");
    co_return Result<void>{};
  }
  Task<Result<std::optional<stream::Batch>>> first_batch_since(int64_t timestamp) override {
    co_await env::yield(shard_);
    for (const stream::Batch& batch : batches)
      if (batch.end() > start_at && batch.max_timestamp >= timestamp)
        co_return std::optional(batch);
    co_return std::optional<stream::Batch>();
  }
  Task<Result<std::optional<stream::Batch>>> batch_of_max_timestamp() override {
    co_await env::yield(shard_);
    std::optional<stream::Batch> best;
    for (const stream::Batch& batch : batches)
      if (!best || batch.max_timestamp > best->max_timestamp) best = batch;
    co_return best;
  }
  Offset retention_start(const stream::RetentionLimits& limits) const override {
    const_cast<TestStream*>(this)->asked = limits;
    return retained_from;
  }
  Offset settled() const override { return start_at; }  // nothing is in an object
  Slice excerpt(Offset) const override { return {}; }

 private:
  env::Shard& shard_;
  const StreamId id_;
  env::Event moved_;
};

class TestStorage final : public stream::Storage {
 public:
  std::map<StreamId, std::unique_ptr<TestStream>> streams;
  std::map<StreamId, stream::StateOwner*> owners;

  using Storage::open;
  Task<Result<Opened>> open(env::Shard& home, StreamId id, stream::StateOwner& owner,
                            std::optional<Lane>) override {
    co_await env::yield(home);
    auto& stream = streams[id];
    if (!stream) stream = std::make_unique<TestStream>(home, id);
    owners[id] = &owner;
    Opened opened{stream.get(), {stream->snapshot, stream->snapshot_end, {}}};
    for (const stream::Batch& batch : stream->batches)
      if (batch.base >= stream->snapshot_end) opened.recovered.tail.push_back(batch);
    co_return opened;
  }
  Task<void> close(env::Shard&, StreamId id) override {
    owners.erase(id);
    co_return;
  }
  // As an upload does.
  void checkpoint(StreamId id) {
    TestStream& stream = *streams.at(id);
    stream.snapshot_end = stream.end();
    stream.snapshot = owners.at(id)->snapshot(stream.end());
  }
  Task<Result<void>> erase(env::Shard&, StreamId) override { co_return Result<void>{}; }
  Task<Result<Slice>> passport(env::Shard&, StreamId) override {
    co_return fail(Code::unsupported, "nothing moves here");
  }
  Task<Result<stream::ReadResult>> read_excerpt(env::Shard&, Slice, stream::ReadRequest) override {
    co_return fail(Code::unsupported, "nothing is in an object here");
  }
  Task<Result<Position>> adopt(env::Shard&, std::vector<Adoption>) override {
    co_return fail(Code::unsupported, "nothing moves here");
  }
  Task<Result<void>> commit_adoption(env::Shard&, Position, CommitAdoption) override {
    co_return fail(Code::unsupported, "nothing moves here");
  }
  void forget_adopted(StreamId) override {}
  Task<void> release(env::Shard&, StreamId) override { co_return; }
  void inherit(Lane, stream::LogShare) override {}
  Task<Result<Slice>> tell_log(env::Shard&, stream::LogQuestion) override {
    co_return fail(Code::unavailable, "nothing is inherited here");
  }
  void inherited(Lane) override {}
  Task<Result<void>> upload_now(env::Shard&) override { co_return Result<void>{}; }
  stream::Stats stats() const override { return {}; }
  void on_lost(std::move_only_function<void(Error)>) override {}
  Task<void> stop(env::Shard&, env::Instant) override { co_return; }
};

using AppendAnswer = std::expected<Appended, AppendFailure>;

class PartitionTest : public testing::Test {
 protected:
  PartitionTest() : world(7, 1) {
    set_log_level(LogLevel::off);
    open();
  }
  ~PartitionTest() override { world.crash(); }

  env::Shard& shard() { return world.shard(0); }
  TestStream& stream() { return *storage.streams.at(kStream); }
  Result<void> try_open(int32_t epoch) {
    Partition::Options options;
    options.shard = &shard();
    options.storage = &storage;
    options.stream = kStream;
    options.name = "t-0";
    options.epoch = Epoch(epoch);
    options.config = config;
    options.attached = attached;
    TRY(partition, world.wait(0, Partition::open(std::move(options))));
    return {};
  }
  void open(int32_t epoch = 0) { CHECK(try_open(epoch)); }
  void close() { world.wait_void(0, partition->close()); }

  static record::BatchBuilder plain(int records = 1, int64_t timestamp = 1'700'000'000'000) {
    record::BatchBuilder builder;
    builder.timestamp(timestamp);
    for (int i = 0; i < records; ++i) builder.add("key", "value");
    return builder;
  }
  static record::BatchBuilder from(int64_t producer, int32_t sequence, int records = 1,
                                   int16_t epoch = 0) {
    record::BatchBuilder builder = plain(records);
    builder.producer(record::ProducerId(producer), epoch, sequence);
    return builder;
  }
  static AppendRequest request(const record::BatchBuilder& builder) {
    AppendRequest made;
    made.records = Slice::copy_of(as_bytes(*builder.build()));
    return made;
  }
  AppendAnswer append(const record::BatchBuilder& builder) {
    return world.wait(0, partition->append(request(builder)));
  }
  // Starts an append and returns where its answer will be.
  std::shared_ptr<std::optional<AppendAnswer>> start(const record::BatchBuilder& builder) {
    auto answer = start_now(builder);
    settle();
    return answer;
  }
  // The same, but it runs only as far as the next settle() lets it.
  std::shared_ptr<std::optional<AppendAnswer>> start_now(const record::BatchBuilder& builder) {
    auto answer = std::make_shared<std::optional<AppendAnswer>>();
    auto body = [](Partition* on, AppendRequest what,
                   std::shared_ptr<std::optional<AppendAnswer>> out) -> Task<void> {
      out->emplace(co_await on->append(std::move(what)));
    };
    shard().spawn(body(partition.get(), request(builder), answer));
    return answer;
  }
  void settle() { world.run_for(std::chrono::milliseconds(1)); }
  static KafkaError code(const auto& result) {
    return result ? KafkaError::none : result.error().code;
  }

  static constexpr StreamId kStream{Uuid{{5}}, 0};
  stream::TestWorld world;
  TestStorage storage;
  Config config;
  Attached* attached = nullptr;
  std::unique_ptr<Partition> partition;
};

}  // namespace paceline::partition
