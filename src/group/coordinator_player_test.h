#pragma once

#include <gtest/gtest.h>

#include "env/random.h"
#include "env/sync.h"
#include "env/task_list.h"
#include "env/timer_queue.h"
#include "group/group_coordinator.h"
#include "record/records.h"

namespace paceline::group {

// One shard under a clock that the test moves.
class FakeShard final : public env::Shard {
 public:
  ~FakeShard() override {
    posts_.clear();
    timers_.clear();
    tasks_.destroy_all();
  }
  unsigned index() const override { return 0; }
  env::Instant now() const override { return now_; }
  int64_t wall_ms() const override {
    return 1'700'000'000'000 + now_.since_start.count() / 1'000'000;
  }
  uint64_t random() override { return random_.next(); }
  void post(env::Callback callback) override { posts_.push_back(std::move(callback)); }
  TimerId run_at(env::Instant when, env::Callback callback) override {
    return timers_.add(when, std::move(callback));
  }
  void cancel_timer(TimerId id) override { timers_.remove(id); }
  void offload(uint64_t, env::Callback work, env::Callback done) override {
    work();
    post(std::move(done));
  }
  void spawn(Task<void> task) override {
    auto handle = tasks_.add(std::move(task));
    post([handle] { handle.resume(); });
  }
  env::Disk& disk() override { std::abort(); }
  env::Network& network() override { std::abort(); }

  void pass(int64_t ms) {
    const env::Instant end = now_ + std::chrono::milliseconds(ms);
    for (;;) {
      while (!posts_.empty()) {
        env::Callback callback = std::move(posts_.front());
        posts_.pop_front();
        callback();
      }
      if (timers_.empty() || timers_.next() > end) break;
      now_ = std::max(now_, timers_.next());
      timers_.take_next()();
    }
    now_ = end;
  }

 private:
  env::Instant now_{std::chrono::seconds(1)};
  env::Random random_{7};
  std::deque<env::Callback> posts_;
  env::TimerQueue timers_;
  env::TaskList tasks_;
};

// A log in memory: offsets at the call, durable after 5 ms, refused where the test says so.
class FakePartition final : public partition::Partition {
 public:
  explicit FakePartition(FakeShard& shard) : shard_(shard) {}

  Task<std::expected<partition::Appended, partition::AppendFailure>> append(
      partition::AppendRequest request) override {
    ++appends;
    EXPECT_TRUE(request.internal);
    const Bytes sent = request.records.bytes();
    if (fail_with || sent.size() > bytes_max) {
      partition::AppendFailure failure;
      failure.code = fail_with.value_or(KafkaError::message_too_large);
      co_await env::sleep_for(shard_, std::chrono::milliseconds(5));
      co_return std::unexpected(failure);
    }
    Buffer copy = Buffer::copy_of(sent);
    const Offset base = end_;
    store_be(copy.data() + record::kBaseOffsetAt, base.value);
    auto view = record::BatchView::parse(copy.bytes());
    CHECK(view && view->crc_ok());
    stream::Batch batch;
    batch.base = base;
    batch.count = static_cast<uint32_t>(view->record_count());
    batch.bytes = Slice(copy);
    end_ = batch.end();
    co_await env::sleep_for(shard_, std::chrono::milliseconds(5));
    batches.push_back(batch);
    durable_end = batch.end();
    // Durable some time before the caller hears of it.
    co_await env::sleep_for(shard_, std::chrono::milliseconds(1));
    co_return partition::Appended{.base = base, .log_start = Offset(0)};
  }
  void refused_before(int64_t, int16_t, int32_t) override {}
  Task<Result<Offset>> pause() override { std::abort(); }
  void resume() override { std::abort(); }
  void moved() override { std::abort(); }
  void expect(Offset) override {}
  Task<record::KafkaResult<partition::Fetched>> fetch(partition::FetchRequest) override {
    std::abort();
  }
  Task<record::KafkaResult<partition::TimestampAndOffset>> list_offset(int64_t, Epoch,
                                                                       bool) override {
    std::abort();
  }
  record::KafkaResult<partition::EpochEnd> epoch_end(Epoch, Epoch) override { std::abort(); }
  Task<record::KafkaResult<Offset>> delete_records(Offset) override { std::abort(); }
  Task<void> tick(int64_t) override { co_return; }
  Offset log_start() const override { return Offset(0); }
  Offset high_watermark() const override { return durable_end; }
  Epoch epoch() const override { return Epoch(0); }
  uint64_t bytes() const override { return 0; }
  Offset settled() const override { return Offset(0); }
  Slice excerpt(Offset) const override { return {}; }
  void set_config(partition::Config) override {}
  std::vector<ProducerImage> producers() const override { return {}; }
  std::unique_ptr<Subscription> subscribe(std::function<void()>) override { return nullptr; }
  Task<void> close() override { co_return; }

  std::vector<stream::Batch> batches;
  Offset durable_end{0};
  std::optional<KafkaError> fail_with;
  size_t bytes_max = SIZE_MAX;
  int appends = 0;

 private:
  FakeShard& shard_;
  Offset end_{0};
};

template <class T>
Task<void> keep(Task<T> task, std::shared_ptr<std::optional<T>> into) {
  into->emplace(co_await std::move(task));
}
inline Task<void> flag(Task<void> task, std::shared_ptr<std::optional<bool>> into) {
  co_await std::move(task);
  into->emplace(true);
}

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() { coordinator->bind(partition); }
  ~CoordinatorTest() override {
    partition.fail_with.reset();
    done(coordinator->close());
  }

  template <class T>
  std::shared_ptr<std::optional<T>> start(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    shard.spawn(keep(std::move(task), result));
    shard.pass(0);
    return result;
  }
  template <class T>
  T get(Task<T> task, int64_t ms = 100) {
    auto result = start(std::move(task));
    shard.pass(ms);
    EXPECT_TRUE(result->has_value()) << "still waits";
    return result->value_or(T{});
  }
  void done(Task<void> task) {
    auto result = std::make_shared<std::optional<bool>>();
    shard.spawn(flag(std::move(task), result));
    shard.pass(100);
    EXPECT_TRUE(result->has_value());
  }
  static CommitRequest commit_of(std::string group, int64_t offset, std::string topic = "t") {
    CommitRequest request;
    request.group = std::move(group);
    OffsetCommit one;
    one.at = {std::move(topic), 0};
    one.offset = Offset(offset);
    request.offsets.push_back(one);
    return request;
  }
  KafkaError commit(std::string group, int64_t offset, std::string topic = "t") {
    return get(coordinator->commit(commit_of(std::move(group), offset, std::move(topic))))[0];
  }
  int64_t fetched(const Coordinator& from, const std::string& group, std::string topic = "t") {
    const std::vector<TopicPartition> asked{{std::move(topic), 0}};
    return from.fetch_offsets(group, asked)[0].second.offset.value;
  }
  static JoinRequest join_of(std::string group) {
    JoinRequest request;
    request.group = std::move(group);
    request.client_id = "c";
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 10'000;
    request.protocol_type = "consumer";
    request.protocols = {{"range", std::string("\0\1\0\0\0\1\0\1t", 9)}};
    return request;
  }
  // One member, synced; returns its id.
  std::string stable(const std::string& group) {
    const JoinResponse joined = get(coordinator->join(join_of(group)), 3'100);
    EXPECT_EQ(joined.error, KafkaError::none);
    SyncRequest request;
    request.group = group;
    request.generation = joined.generation;
    request.member = joined.member;
    request.assignments = {{joined.member, "mine"}};
    const SyncResponse synced = get(coordinator->sync(request));
    EXPECT_EQ(synced.error, KafkaError::none);
    EXPECT_EQ(synced.assignment, "mine");
    return joined.member;
  }
  KafkaError leave(const std::string& group, const std::string& member) {
    leaving_ = {LeavingMember{member, {}, {}, {}}};
    EXPECT_EQ(get(coordinator->leave(group, leaving_)), KafkaError::none);
    return leaving_[0].error;
  }

  FakeShard shard;
  FakePartition partition{shard};
  std::unique_ptr<GroupCoordinator> coordinator =
      std::make_unique<GroupCoordinator>(shard, Options{});
  std::vector<LeavingMember> leaving_;
};

}  // namespace paceline::group
