#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "env/disk.h"
#include "env/random.h"
#include "env/shard.h"
#include "env/task_list.h"

// A small world for the tests of this module: shards whose steps are interleaved by a seed, in one
// thread, and a disk in memory that loses what was not synced.

namespace paceline::wal {

class TestDisk final : public env::Disk {
 public:
  explicit TestDisk(env::Random& random) : random_(random) {}

  // Runs before each call: other threads' work may come between any two.
  std::function<void()> before_call;
  int calls_until_dead = -1;  // then every call fails without effect; never if negative
  bool fail_next_sync = false;
  bool fail_next_write = false;
  uint64_t free_space = ~0ull;  // for allocate()
  int renames_of_spares = 0;    // to segments
  int writes = 0;
  uint64_t bytes_read = 0;

  // Power loss: of unsynced sectors and names any subset survives. Open files are dead.
  void crash() {
    ++life_;
    calls_until_dead = -1;
    std::map<std::string, std::shared_ptr<Node>> names;
    for (const auto& [path, node] : live_) {
      const auto synced = durable_.find(path);
      if ((synced != durable_.end() && synced->second == node) || random_.below(2))
        names[path] = node;
    }
    for (const auto& [path, node] : durable_)
      if (!live_.contains(path) && random_.below(2)) names[path] = node;
    for (auto& [path, node] : names) {
      for (const size_t sector : node->dirty)
        if (random_.below(2)) node->copy_sector(sector);
      node->bytes = node->durable;
      node->dirty.clear();
    }
    live_ = names;
    durable_ = names;
  }
  bool dead() const { return calls_until_dead == 0; }
  std::string& bytes_of(const std::string& path) { return live_.at(path)->bytes; }

  Result<std::unique_ptr<env::File>> open(const std::string& path, env::OpenMode mode) override {
    TRY_VOID(call());
    const auto found = live_.find(path);
    if (found != live_.end()) {
      if (mode.create == env::OpenMode::Create::exclusive) return fail(Code::already_exists, path);
      return std::make_unique<OpenFile>(*this, found->second);
    }
    if (mode.create == env::OpenMode::Create::never) return fail(Code::not_found, path);
    auto node = std::make_shared<Node>();
    live_[path] = node;
    return std::make_unique<OpenFile>(*this, node);
  }
  Result<bool> exists(const std::string& path) override {
    TRY_VOID(call());
    return live_.contains(path) || dirs_.contains(path);
  }
  Result<void> remove(const std::string& path) override {
    TRY_VOID(call());
    if (live_.erase(path) == 0) return fail(Code::not_found, path);
    return {};
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    TRY_VOID(call());
    const auto found = live_.find(from);
    if (found == live_.end()) return fail(Code::not_found, from);
    const auto node = found->second;
    live_.erase(found);
    live_[to] = node;
    return {};
  }
  Result<void> rename_new(const std::string& from, const std::string& to) override {
    if (live_.contains(to)) return fail(Code::already_exists, to);
    Result<void> renamed = rename(from, to);
    if (renamed && from.ends_with(".spare.tmp")) ++renames_of_spares;
    return renamed;
  }
  Result<std::vector<std::string>> list(const std::string& dir) override {
    TRY_VOID(call());
    if (!dirs_.contains(dir)) return fail(Code::not_found, dir);
    std::vector<std::string> names;
    for (const auto& [path, node] : live_)
      if (env::parent_dir(path) == dir) names.push_back(path.substr(dir.size() + 1));
    return names;
  }
  Result<void> make_dirs(const std::string& dir) override {
    TRY_VOID(call());
    dirs_.insert(dir);
    return {};
  }
  Result<void> remove_dir(const std::string& dir) override {
    TRY_VOID(call());
    dirs_.erase(dir);
    return {};
  }
  Result<void> sync_dir(const std::string& dir) override {
    TRY_VOID(call());
    std::erase_if(durable_, [&](const auto& name) { return env::parent_dir(name.first) == dir; });
    for (const auto& name : live_)
      if (env::parent_dir(name.first) == dir) durable_.insert(name);
    return {};
  }
  Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override {
    return fail(Code::unsupported, path);
  }
  Result<uint64_t> free_bytes(const std::string&) override { return free_space; }

 private:
  static constexpr size_t kSector = 512;
  struct Node {
    std::string bytes;
    std::string durable;
    std::set<size_t> dirty;  // sectors

    void resize(size_t size) { bytes.resize(size); }
    void copy_sector(size_t sector) {
      const size_t at = sector * kSector;
      const size_t end = std::min(bytes.size(), at + kSector);
      if (at >= end) return;
      if (durable.size() < end) durable.resize(end);
      durable.replace(at, end - at, bytes, at, end - at);
    }
  };
  class OpenFile final : public env::File {
   public:
    OpenFile(TestDisk& disk, std::shared_ptr<Node> node)
        : disk_(disk), node_(std::move(node)), life_(disk.life_) {}
    Result<size_t> read_at(uint64_t position, MutableBytes into) override {
      TRY_VOID(call());
      disk_.bytes_read += into.size();
      if (position >= node_->bytes.size()) return size_t{0};
      const size_t count = std::min<size_t>(into.size(), node_->bytes.size() - position);
      std::memcpy(into.data(), node_->bytes.data() + position, count);
      return count;
    }
    Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override {
      TRY_VOID(call());
      ++disk_.writes;
      if (std::exchange(disk_.fail_next_write, false)) return fail(Code::io_error, "write");
      for (const Bytes piece : pieces) {
        if (node_->bytes.size() < position + piece.size()) node_->resize(position + piece.size());
        std::memcpy(node_->bytes.data() + position, piece.data(), piece.size());
        for (size_t at = position / kSector; at * kSector < position + piece.size(); ++at)
          node_->dirty.insert(at);
        position += piece.size();
      }
      return {};
    }
    Result<void> sync() override {
      TRY_VOID(call());
      if (std::exchange(disk_.fail_next_sync, false)) {
        node_->dirty.clear();  // as the kernel does: readable now, gone after a crash
        return fail(Code::io_error, "sync");
      }
      if (node_->durable.size() < node_->bytes.size()) node_->durable.resize(node_->bytes.size());
      for (const size_t sector : node_->dirty) node_->copy_sector(sector);
      node_->dirty.clear();
      return {};
    }
    Result<uint64_t> size() override {
      TRY_VOID(call());
      return node_->bytes.size();
    }
    Result<void> truncate(uint64_t size) override {
      TRY_VOID(call());
      node_->resize(size);
      return {};
    }
    Result<void> allocate(uint64_t size) override {
      TRY_VOID(call());
      if (size <= node_->bytes.size()) return {};
      const uint64_t more = size - node_->bytes.size();
      if (more > disk_.free_space) return fail(Code::no_space, "full");
      node_->resize(size);
      return {};
    }
    // Every sector of zeros is a hole.
    Result<std::optional<uint64_t>> next_data(uint64_t position) override {
      TRY_VOID(call());
      const size_t at = node_->bytes.find_first_not_of('\0', position);
      if (at == std::string::npos) return std::optional<uint64_t>();
      return std::max<uint64_t>(position, at / kSector * kSector);
    }

   private:
    Result<void> call() {
      if (life_ != disk_.life_) return fail(Code::io_error, "dead file");
      return disk_.call();
    }
    TestDisk& disk_;
    std::shared_ptr<Node> node_;
    const int life_;
  };

  Result<void> call() {
    if (before_call) before_call();
    if (calls_until_dead == 0) return fail(Code::io_error, "dead disk");
    if (calls_until_dead > 0) --calls_until_dead;
    return {};
  }

  env::Random& random_;
  std::map<std::string, std::shared_ptr<Node>> live_;
  std::map<std::string, std::shared_ptr<Node>> durable_;
  std::set<std::string> dirs_;
  int life_ = 0;
};

class TestWorld {
 public:
  explicit TestWorld(uint64_t seed, size_t shards = 3) : random(seed), disk(random) {
    start(shards);
    // A work of another lane may run whole between two disk calls of this one.
    disk.before_call = [this] {
      if (depth_ < 2 && random.below(4) == 0) run_work();
    };
  }
  TestWorld(const TestWorld&) = delete;
  TestWorld& operator=(const TestWorld&) = delete;
  ~TestWorld() { stop(); }

  env::Random random;
  TestDisk disk;

  env::Shard& shard(size_t index) { return *shards_[index]; }

  // One step of somebody; false if there is nothing to do.
  bool step() {
    std::vector<OneShard*> ready;
    for (auto& shard : shards_)
      if (!shard->posts.empty()) ready.push_back(shard.get());
    const size_t choices = ready.size() + (works_.empty() ? 0 : 1);
    if (choices == 0) return false;
    const size_t choice = random.below(choices);
    if (choice == ready.size()) return run_work();
    env::Callback callback = std::move(ready[choice]->posts.front());
    ready[choice]->posts.pop_front();
    callback();
    return true;
  }
  void run() {
    while (step()) {
    }
  }
  template <class Done>
  void run_until(Done done) {
    while (!done() && step()) {
    }
  }
  // Runs the task to its end on a shard and returns its value.
  template <class T>
  T wait(size_t on, Task<T> task) {
    std::optional<T> value;
    auto body = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await std::move(inner));
    };
    shard(on).spawn(body(std::move(task), value));
    run_until([&] { return value.has_value(); });
    CHECK(value.has_value());
    return std::move(*value);
  }
  // The process dies and starts again; the disk is as it was, or after a power loss.
  void restart(bool power_loss) {
    const size_t shards = shards_.size();
    stop();
    disk.calls_until_dead = -1;
    if (power_loss) disk.crash();
    start(shards);
  }

 private:
  struct Work {
    uint64_t lane;
    env::Callback work;
    env::Callback done;
    env::Shard* home;
  };
  struct OneShard final : env::Shard {
    OneShard(TestWorld& owner, unsigned number) : world(owner), number(number) {}
    unsigned index() const override { return number; }
    env::Instant now() const override { return {}; }
    int64_t wall_ms() const override { return 0; }
    uint64_t random() override { return world.random.next(); }
    void post(env::Callback callback) override { posts.push_back(std::move(callback)); }
    TimerId run_at(env::Instant, env::Callback) override { return 0; }
    void cancel_timer(TimerId) override {}
    void offload(uint64_t lane, env::Callback work, env::Callback done) override {
      world.works_.push_back({lane, std::move(work), std::move(done), this});
    }
    void spawn(Task<void> task) override {
      const auto start = tasks.add(std::move(task));
      post([start] { start.resume(); });
    }
    env::Disk& disk() override { return world.disk; }
    env::Network& network() override {
      CHECK(false);
      std::abort();
    }

    TestWorld& world;
    const unsigned number;
    std::deque<env::Callback> posts;
    env::TaskList tasks;
  };

  void start(size_t count) {
    for (size_t i = 0; i < count; ++i) shards_.push_back(std::make_unique<OneShard>(*this, i));
  }
  void stop() {
    works_.clear();
    for (auto& shard : shards_) shard->posts.clear();
    for (auto& shard : shards_) shard->tasks.destroy_all();
    for (auto& shard : shards_) shard->posts.clear();
    works_.clear();
    shards_.clear();
  }
  bool run_work() {
    std::vector<size_t> ready;
    std::set<uint64_t> seen;
    for (size_t i = 0; i < works_.size(); ++i) {
      const uint64_t lane = works_[i].lane;
      if (lane == 0 || (!busy_.contains(lane) && seen.insert(lane).second)) ready.push_back(i);
    }
    if (ready.empty()) return false;
    const size_t at = ready[random.below(ready.size())];
    Work work = std::move(works_[at]);
    works_.erase(works_.begin() + static_cast<ptrdiff_t>(at));
    if (work.lane != 0) busy_.insert(work.lane);
    ++depth_;
    work.work();
    --depth_;
    work.work = nullptr;
    if (work.lane != 0) busy_.erase(work.lane);
    work.home->post(std::move(work.done));
    return true;
  }

  std::vector<std::unique_ptr<OneShard>> shards_;
  std::deque<Work> works_;
  std::set<uint64_t> busy_;
  int depth_ = 0;
};

}  // namespace paceline::wal
