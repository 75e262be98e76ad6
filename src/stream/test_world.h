#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "env/random.h"
#include "env/sync.h"
#include "env/task_list.h"
#include "env/timer_queue.h"
#include "meta/records.h"
#include "stream/stream.h"

// A small world for the tests of this module: shards under a virtual clock, interleaved by a seed
// in one thread, and a WAL, an object store and a metadata store in memory that outlive a crash.

namespace paceline::stream {

class TestWorld {
 public:
  TestWorld(uint64_t seed, unsigned shard_count) : random(seed) {
    for (unsigned i = 0; i < shard_count; ++i)
      shards_.push_back(std::make_unique<OneShard>(*this, i));
  }
  ~TestWorld() { crash(); }

  env::Random random;
  env::Shard& shard(size_t index) { return *shards_[index]; }
  std::vector<env::Shard*> shards() {
    std::vector<env::Shard*> all;
    for (auto& shard : shards_) all.push_back(shard.get());
    return all;
  }
  env::Instant now() const { return now_; }

  bool step() {
    std::vector<OneShard*> ready;
    for (auto& shard : shards_)
      if (!shard->posts.empty()) ready.push_back(shard.get());
    if (ready.empty()) return run_timer();
    OneShard& chosen = *ready[random.below(ready.size())];
    env::Callback callback = std::move(chosen.posts.front());
    chosen.posts.pop_front();
    callback();
    return true;
  }
  void run_for(env::Duration duration) {
    bool over = false;
    shards_[0]->run_at(now_ + duration, [&over] { over = true; });
    while (!over && step()) {
    }
  }
  template <class Done>
  bool run_until(Done done) {
    const env::Instant bound = now_ + std::chrono::hours(1);
    while (!done()) {
      if (now_ > bound || !step()) return false;
    }
    return true;
  }
  template <class T>
  T wait(size_t on, Task<T> task) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await std::move(inner));
    };
    shard(on).spawn(body(std::move(task), value));
    CHECK(run_until([&] { return value.has_value(); }));
    return std::move(*value);
  }
  void wait_void(size_t on, Task<void> task) {
    bool over = false;
    auto body = [](Task<void> inner, bool& out) -> Task<void> {
      co_await std::move(inner);
      out = true;
    };
    shard(on).spawn(body(std::move(task), over));
    CHECK(run_until([&] { return over; }));
  }
  // The process dies: nothing of what runs goes on. The clock and the stores stay.
  void crash() { crash(0, shards_.size()); }
  // One of several, with its shards.
  void crash(size_t first, size_t count) {
    clear(first, count);
    for (size_t i = first; i < first + count; ++i) shards_[i]->tasks.destroy_all();
    clear(first, count);
  }

 private:
  struct OneShard final : env::Shard {
    OneShard(TestWorld& owner, unsigned own_index) : world(owner), number(own_index) {}
    unsigned index() const override { return number; }
    env::Instant now() const override { return world.now_; }
    int64_t wall_ms() const override {
      return 1'700'000'000'000 + world.now_.since_start.count() / 1'000'000;
    }
    uint64_t random() override { return world.random.next(); }
    void post(env::Callback callback) override { posts.push_back(std::move(callback)); }
    TimerId run_at(env::Instant when, env::Callback callback) override {
      return timers.add(when, std::move(callback));
    }
    void cancel_timer(TimerId id) override { timers.remove(id); }
    void offload(uint64_t, env::Callback work, env::Callback done) override {
      work();
      work = nullptr;
      post(std::move(done));
    }
    void spawn(Task<void> task) override {
      const auto start = tasks.add(std::move(task));
      post([start] { start.resume(); });
    }
    env::Disk& disk() override { std::abort(); }
    env::Network& network() override { std::abort(); }

    TestWorld& world;
    const unsigned number;
    std::deque<env::Callback> posts;
    env::TimerQueue timers;
    env::TaskList tasks;
  };
  void clear(size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      shards_[i]->posts.clear();
      shards_[i]->timers.clear();
    }
  }
  bool run_timer() {
    OneShard* first = nullptr;
    for (auto& shard : shards_)
      if (!shard->timers.empty() && (!first || shard->timers.next() < first->timers.next()))
        first = shard.get();
    if (!first || first->timers.next() == env::Instant::never()) return false;
    now_ = std::max(now_, first->timers.next());
    first->timers.take_next()();
    return true;
  }

  env::Instant now_;
  std::vector<std::unique_ptr<OneShard>> shards_;
};

inline auto some_time(env::Shard& shard) {
  return env::sleep_for(shard, std::chrono::microseconds(50 + shard.random() % 2000));
}

// Lanes in memory. What a commit has stored stays, whoever dies.
class TestWal final : public wal::Wal {
 public:
  struct Log {
    std::vector<wal::Group> groups;
    std::set<size_t> damaged;  // groups that can no longer be read
    std::set<size_t> marked;   // neither, but it is known whose they were
    bool sealed = false;
    Position end() const { return groups.empty() ? Position{} : groups.back().end; }
  };
  std::map<Lane, std::shared_ptr<Log>> lanes;
  std::map<Lane, int> reads;  // how often each was read
  std::map<Lane, Position> trimmed;

  Task<Result<std::unique_ptr<wal::Writer>>> create(env::Shard& owner, Lane lane) override {
    if (lanes.contains(lane)) co_return fail(Code::already_exists, lane.to_string());
    auto log = std::make_shared<Log>();
    lanes[lane] = log;
    auto state = std::make_shared<State>(owner, log);
    owner.spawn(commit_loop(state));
    co_return std::unique_ptr<wal::Writer>(new OneWriter(*this, lane, state));
  }
  Task<Result<Position>> seal(env::Shard& shard, Lane lane, Position) override {
    co_await some_time(shard);
    if (!lanes.contains(lane)) co_return Position{};
    lanes[lane]->sealed = true;
    co_return lanes[lane]->end();
  }
  Task<Result<std::unique_ptr<wal::Reader>>> read(env::Shard& shard, Lane lane, Position from,
                                                  std::optional<Position>) override {
    co_await some_time(shard);
    if (!lanes.contains(lane)) co_return fail(Code::not_found, lane.to_string());
    ++reads[lane];
    if (from < trimmed[lane] && !lanes[lane]->groups.empty())
      co_return fail(Code::corrupt, "what was asked for is trimmed");
    co_return std::unique_ptr<wal::Reader>(new OneReader(lanes[lane], from));
  }
  Task<Result<void>> remove(env::Shard&, Lane lane) override {
    lanes.erase(lane);
    co_return Result<void>{};
  }

 private:
  struct Call {
    Call(env::Shard& shard, std::vector<wal::Entry> all) : entries(std::move(all)), done(shard) {}
    std::vector<wal::Entry> entries;
    std::optional<Result<wal::Written>> result;
    env::Event done;
  };
  struct State {
    State(env::Shard& owner, std::shared_ptr<Log> own)
        : shard(owner), log(std::move(own)), arrived(owner) {}
    env::Shard& shard;
    std::shared_ptr<Log> log;
    std::deque<std::shared_ptr<Call>> queue;
    Position durable;
    env::Event arrived;
  };
  static Task<void> commit_loop(std::shared_ptr<State> state) {
    for (;;) {
      while (state->queue.empty()) co_await state->arrived.wait();
      auto calls = std::exchange(state->queue, {});
      wal::Group group;
      for (auto& call : calls)
        for (const wal::Entry& entry : call->entries) group.entries.push_back(entry);
      co_await some_time(state->shard);
      group.end = state->log->end() + (100 + group.entries.size());
      const Position end = group.end;
      if (state->log->sealed) co_return;
      state->log->groups.push_back(std::move(group));
      co_await some_time(state->shard);  // durable, and nobody knows
      state->durable = end;
      for (auto& call : calls) {
        wal::Written written{.end = end, .payloads = {}};
        for (const wal::Entry& entry : call->entries) written.payloads.push_back(entry.payload);
        call->result.emplace(std::move(written));
        call->done.notify_all();
      }
    }
  }
  class OneWriter final : public wal::Writer {
   public:
    OneWriter(TestWal& wal, Lane lane, std::shared_ptr<State> state)
        : wal_(wal), lane_(lane), state_(std::move(state)) {}
    Task<Result<wal::Written>> append(env::Shard& home, std::vector<wal::Entry> entries) override {
      auto call = std::make_shared<Call>(home, std::move(entries));
      state_->queue.push_back(call);
      state_->arrived.notify_all();
      while (!call->result) co_await call->done.wait();
      co_return std::move(*call->result);
    }
    Position durable_end() const override { return state_->durable; }
    uint64_t slots_since(Position) const override { return 0; }
    Task<Result<void>> trim(env::Shard&, Position up_to) override {
      wal_.trimmed[lane_] = up_to;
      co_return Result<void>{};
    }
    void on_lost(std::move_only_function<void(Error)>) override {}
    Task<void> close(env::Shard&) override { co_return; }

   private:
    TestWal& wal_;
    const Lane lane_;
    const std::shared_ptr<State> state_;
  };
  class OneReader final : public wal::Reader {
   public:
    OneReader(std::shared_ptr<Log> log, Position from) : log_(std::move(log)), from_(from) {}
    Task<Result<std::optional<wal::Group>>> next() override {
      std::vector<wal::Damage> before;
      while (at_ < log_->groups.size() &&
             (log_->groups[at_].end <= from_ || log_->marked.contains(at_))) {
        if (log_->groups[at_].end > from_) before.push_back(damage_of(log_->groups[at_]));
        ++at_;
      }
      if (at_ == log_->groups.size() && !before.empty())
        co_return wal::Group{.entries = {}, .end = log_->end(), .before = std::move(before)};
      if (at_ == log_->groups.size()) co_return std::optional<wal::Group>();
      if (log_->damaged.contains(at_))
        co_return fail(Code::corrupt, "a group does not match its checksum");
      wal::Group group = log_->groups[at_++];
      group.before = std::move(before);
      co_return std::optional<wal::Group>(std::move(group));
    }

   private:
    static wal::Damage damage_of(const wal::Group& group) {
      wal::Damage damage{.from = {}, .to = group.end, .why = "a group is damaged", .streams = {}};
      for (const wal::Entry& entry : group.entries) {
        wal::StreamMark mark{
            .stream = entry.header.stream, .epoch = entry.header.epoch, .end = {}, .start = {}};
        if (entry.header.kind == wal::EntryKind::trim)
          mark.start = entry.header.base;
        else if (entry.header.kind == wal::EntryKind::batch)
          mark.end = entry.header.base + static_cast<int64_t>(entry.header.count);
        damage.streams.push_back(mark);
      }
      return damage;
    }

    const std::shared_ptr<Log> log_;
    const Position from_;
    size_t at_ = 0;
  };
};

// Objects in memory; fails, or loses its answers, on demand.
class TestObjects final : public object::Store {
 public:
  std::map<std::string, std::string> bodies;
  bool down = false;
  uint64_t lost_answers_percent = 0;
  uint32_t unknown_gets = 0;  // the next ones find nothing
  uint32_t damaged_gets = 0;  // the next ones bring one wrong byte
  uint64_t got_bytes = 0;

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    co_await some_time(shard);
    if (down) co_return fail(Code::unavailable, "the store is down");
    if (bodies.contains(key)) co_return fail(Code::already_exists, key);
    const bool lost = shard.random() % 100 < lost_answers_percent;
    if (lost && shard.random() % 2) co_return fail(Code::maybe_written, key);
    std::string bytes;
    for (const Slice& slice : body) bytes += as_text(slice.bytes());
    bodies[key] = std::move(bytes);
    co_await some_time(shard);
    if (lost) co_return fail(Code::maybe_written, key);
    co_return Result<void>{};
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    co_await some_time(shard);
    if (down) co_return fail(Code::unavailable, "the store is down");
    const auto found = bodies.find(key);
    if (found == bodies.end() || (unknown_gets > 0 && unknown_gets-- > 0))
      co_return fail(Code::not_found, key);
    if (from > found->second.size() || bytes > found->second.size() - from)
      co_return fail(Code::out_of_range, key);
    std::string body = found->second.substr(from, bytes);
    if (damaged_gets > 0 && damaged_gets-- > 0) body[body.size() / 2] ^= 1;
    got_bytes += bytes;
    co_return Slice::copy_of(as_bytes(body));
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    co_await some_time(shard);
    if (down) co_return fail(Code::unavailable, "the store is down");
    const auto found = bodies.find(key);
    if (found == bodies.end()) co_return fail(Code::not_found, key);
    co_return uint64_t{found->second.size()};
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    co_await some_time(shard);
    for (const std::string& key : keys) bodies.erase(key);
    co_return Result<void>{};
  }
  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    co_await some_time(shard);
    object::ListPage page;
    for (const auto& [key, body] : bodies) {
      if (!key.starts_with(prefix) || key <= after) continue;
      if (page.objects.size() == count_max) {
        page.more = true;
        break;
      }
      page.objects.push_back({key, body.size()});
    }
    co_return page;
  }
};

class TestMeta final : public meta::Store {
 public:
  std::map<std::string, meta::Entry> entries;
  int64_t revision = 1;
  uint64_t lost_answers_percent = 0;

  void put(const std::string& key, std::string value) {
    ++revision;
    auto [found, created] = entries.try_emplace(key);
    if (created) found->second.created = Revision(revision);
    found->second.key = key;
    found->second.value = std::move(value);
    found->second.modified = Revision(revision);
  }
  Task<Result<std::optional<meta::Entry>>> get(env::Shard& shard, std::string key) override {
    co_await some_time(shard);
    const auto found = entries.find(key);
    if (found == entries.end()) co_return std::optional<meta::Entry>();
    co_return std::optional<meta::Entry>(found->second);
  }
  Task<Result<meta::Range>> range(env::Shard& shard, std::string from, std::string to,
                                  size_t count_max) override {
    co_await some_time(shard);
    meta::Range range;
    range.revision = Revision(revision);
    for (auto at = entries.lower_bound(from); at != entries.end() && (to.empty() || at->first < to);
         ++at) {
      if (range.entries.size() == count_max) {
        range.more = true;
        break;
      }
      range.entries.push_back(at->second);
    }
    co_return range;
  }
  Task<Result<Revision>> commit(env::Shard& shard, meta::Transaction transaction) override {
    co_await some_time(shard);
    CHECK(transaction.writes.size() <= 128);
    for (const meta::Compare& compare : transaction.compares) {
      const auto found = entries.find(compare.key);
      const bool holds =
          compare.what == meta::Compare::What::absent
              ? found == entries.end()
              : found != entries.end() && (compare.what == meta::Compare::What::exists ||
                                           found->second.modified == compare.modified);
      if (!holds) co_return fail(Code::conflict, compare.key);
    }
    const bool lost = shard.random() % 100 < lost_answers_percent;
    if (lost && shard.random() % 2) co_return fail(Code::maybe_written, "no answer");
    const int64_t at = revision + 1;
    for (const meta::Write& write : transaction.writes) {
      revision = at - 1;
      if (write.what == meta::Write::What::put) {
        put(write.key, write.value);
      } else {
        entries.erase(write.key);
      }
    }
    revision = at;
    co_await some_time(shard);
    if (lost) co_return fail(Code::maybe_written, "no answer");
    co_return Revision(at);
  }
  Result<std::unique_ptr<meta::Watch>> watch(env::Shard&, std::string, Revision) override {
    return fail(Code::unsupported, "no watches here");
  }
  Task<Result<meta::Lease>> grant(env::Shard&, std::chrono::seconds) override {
    co_return fail(Code::unsupported, "no leases here");
  }
  Task<Result<void>> keep_alive(env::Shard&, meta::LeaseId) override {
    co_return fail(Code::unsupported, "no leases here");
  }
  Task<Result<void>> revoke(env::Shard&, meta::LeaseId) override {
    co_return fail(Code::unsupported, "no leases here");
  }
};

}  // namespace paceline::stream
