#include "env/sim_shard.h"

#include <utility>

#include "env/sim_links.h"
#include "env/sim_network.h"
#include "env/sim_world.h"

namespace paceline::env {

using namespace std::chrono_literals;

SimLife::SimLife(SimEvents& events, SimLinks& links, SimHost& host, uint64_t number,
                 unsigned shard_count)
    : events_(events), host_(host) {
  for (unsigned i = 0; i < shard_count; ++i)
    shards_.push_back(std::make_unique<SimShard>(events, links, *this, i, number + i + 1));
}

SimLife::~SimLife() {
  CHECK(ended_);
}

SimShard& SimLife::shard(size_t index) {
  CHECK(index < shards_.size());
  return *shards_[index];
}

void SimLife::end() {
  ended_ = true;
  events_.drop(*this);
  lanes_.clear();
  for (auto shard = shards_.rbegin(); shard != shards_.rend(); ++shard) (*shard)->destroy_tasks();
}

void SimLife::submit(Job job) {
  if (ended_) return;
  if (job.lane != 0) {
    auto [lane, first] = lanes_.try_emplace(job.lane);
    if (!first) {
      lane->second.push_back(std::move(job));
      return;
    }
  }
  start(std::move(job));
}

// A pool thread takes it soon; now and then it is busy.
void SimLife::start(Job job) {
  const bool busy = events_.random().chance(0.02);
  const Duration delay = events_.random_delay(2us, busy ? Duration(5ms) : Duration(60us));
  const uint64_t actor = job.actor | 1ull << 63;  // the pool's, so that the trace tells them apart
  events_.add(events_.now() + delay, this, SimEvents::Kind::work, actor,
              [this, moved = std::move(job)]() mutable { run(std::move(moved)); });
}

// The work takes its effect now, and its time after it: a crash may fall in between, when it has
// happened and nobody has heard.
void SimLife::run(Job job) {
  job.work();
  job.work = nullptr;
  const Duration delay = events_.random_delay(1us, 40us) + host_.disk().take_delay();
  const uint64_t actor = job.actor;
  events_.add(events_.now() + delay, this, SimEvents::Kind::done, actor,
              [this, moved = std::move(job)]() mutable {
                if (auto lane = lanes_.find(moved.lane); lane != lanes_.end()) {
                  if (lane->second.empty()) {
                    lanes_.erase(lane);
                  } else {
                    Job next = std::move(lane->second.front());
                    lane->second.pop_front();
                    start(std::move(next));
                  }
                }
                moved.done();
              });
}

SimShard::SimShard(SimEvents& events, SimLinks& links, SimLife& life, unsigned index,
                   uint64_t actor)
    : events_(events),
      life_(life),
      index_(index),
      actor_(actor),
      network_(std::make_unique<SimNetwork>(events, links, *this)) {}

SimShard::~SimShard() = default;

int64_t SimShard::wall_ms() const {
  constexpr int64_t kStart = 1'767'225'600'000;  // 2026-01-01
  const Duration passed = now().since_start + life_.host().wall_skew();
  return kStart + std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

Disk& SimShard::disk() {
  return life_.host().disk();
}

void SimShard::post(Callback callback) {
  if (life_.ended()) return;
  // All wires are one source, so that the order among them is kept in one place.
  const uint64_t source = events_.actor() & kWireActor ? kWireActor : events_.actor();
  Instant when = events_.now();
  if (source == actor_) {
    when = when + events_.random_delay(100ns, 900ns);
  } else if (source != 0) {
    when = when + events_.random_delay(1us, 20us);
  }
  Instant& last = last_post_[source];
  last = std::max(last, when);
  events_.add(last, &life_, SimEvents::Kind::post, actor_, std::move(callback));
}

Shard::TimerId SimShard::run_at(Instant when, Callback callback) {
  if (life_.ended()) return 0;
  return events_.add(when, &life_, SimEvents::Kind::timer, actor_, std::move(callback));
}

void SimShard::offload(uint64_t lane, Callback work, Callback done) {
  life_.submit({.lane = lane, .work = std::move(work), .done = std::move(done), .actor = actor_});
}

void SimShard::spawn(Task<void> task) {
  if (life_.ended()) return;
  const std::coroutine_handle<> start = tasks_.add(std::move(task));
  post([start] { start.resume(); });
}

}  // namespace paceline::env
