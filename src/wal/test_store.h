#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "env/sim_world.h"
#include "env/sync.h"
#include "wal/slot_format.h"

namespace paceline::wal {

// For tests: an object store that is as unkind as any real one may be, in a simulated world, by its
// seed. Puts that run side by side arrive in any order; answers get lost, on the way there or back;
// a put may land long after its caller has given up.
class TestStore final : public object::Store {
 public:
  struct Faults {
    env::Duration latency_max = std::chrono::milliseconds(20);
    double tail = 0.02;  // chance of each way to take 20 times as long
    // Chances are of each request.
    double refuse = 0;      // 503, without effect
    double conflict = 0;    // 409, without effect
    double lose = 0;        // of a put: nobody knows, and nothing happened
    double lose_after = 0;  // of a put: nobody knows, and it happened
    double land_late = 0;   // of a put: nobody knows, and it happens some 30 s later
    double silent = 0;      // no answer at all; a put may have happened
    double missing = 0;     // an object that is young is not found
    double flip = 0;        // a byte of what is read
    double foreign = 0;     // another object's bytes are read
    double stale_list = 0;  // an object is not listed, or one that has gone is
    bool gone = false;
  };
  enum class Fate { fine, refuse, conflict, lose, lose_after, land_late, silent };
  struct Object {
    std::string body;
    env::Instant since;
  };

  explicit TestStore(env::SimWorld& world) : world_(world) {}

  Faults faults;
  std::deque<Fate> next_puts;  // decides before chance does
  std::map<std::string, Object> objects;
  std::map<std::string, int> puts;  // requests, by key
  std::map<std::string, int> gets;
  std::string broken_rule;  // not empty: a body was changed between two puts

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    std::string bytes;
    for (const Slice& slice : body) bytes += as_text(slice.bytes());
    note_put(key, bytes);
    auto state = std::make_shared<Pending<void>>(shard);
    const env::Duration there = latency();
    const env::Duration back = there + latency();
    const Fate fate = draw();
    const auto land = [this, key, bytes] { return this->land(key, bytes); };
    const auto unknown = fail(Code::maybe_written, "no answer");
    switch (fate) {
      case Fate::fine:
        world_.after(there,
                     [this, state, land, back = back - there] { answer(state, back, land()); });
        break;
      case Fate::refuse:
        answer(state, back, fail(Code::unavailable, "503"));
        break;
      case Fate::conflict:
        answer(state, back, fail(Code::conflict, "409"));
        break;
      case Fate::lose:
        answer(state, back + kTimeout, unknown);
        break;
      case Fate::lose_after:
        world_.after(there, [land] { (void)land(); });
        answer(state, back + kTimeout, unknown);
        break;
      case Fate::land_late:
        world_.after(kLate + latency() * 100, [land] { (void)land(); });
        answer(state, back + kTimeout, unknown);
        break;
      case Fate::silent:
        if (world_.random().below(2)) world_.after(there, [land] { (void)land(); });
        break;
    }
    while (!state->result) co_await state->answered.wait();
    co_return *state->result;
  }

  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    ++gets[key];
    auto find = [this, key, from, bytes] { return look(key, from, bytes); };
    return ask<Slice>(shard, std::move(find));
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    auto find = [this, key]() -> Result<uint64_t> {
      const auto found = objects.find(key);
      if (found == objects.end()) return fail(Code::not_found, key);
      return uint64_t{found->second.body.size()};
    };
    return ask<uint64_t>(shard, std::move(find));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    auto erase = [this, keys = std::move(keys)]() -> Result<void> {
      for (const std::string& key : keys) {
        if (world_.random().chance(faults.refuse)) return fail(Code::unavailable, "503");
        const auto found = objects.find(key);
        if (found == objects.end()) continue;
        gone_[key] = found->second.body.size();
        objects.erase(found);
      }
      return {};
    };
    return ask<void>(shard, std::move(erase));
  }
  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    auto find = [this, prefix, after, count_max]() -> Result<object::ListPage> {
      std::map<std::string, uint64_t> all;
      for (const auto& [key, object] : objects)
        if (!world_.random().chance(faults.stale_list)) all[key] = object.body.size();
      for (const auto& [key, bytes] : gone_)
        if (world_.random().chance(faults.stale_list)) all[key] = bytes;
      object::ListPage page;
      for (auto at = all.upper_bound(std::max(prefix, after)); at != all.end(); ++at) {
        if (!at->first.starts_with(prefix)) break;
        page.more = page.objects.size() == count_max;
        if (page.more) break;
        page.objects.push_back({at->first, at->second});
      }
      return page;
    };
    return ask<object::ListPage>(shard, std::move(find));
  }

 private:
  static constexpr env::Duration kTimeout = std::chrono::milliseconds(300);
  static constexpr env::Duration kLate = std::chrono::seconds(30);
  static constexpr env::Duration kYoung = std::chrono::milliseconds(300);

  template <class T>
  struct Pending {
    explicit Pending(env::Shard& home) : shard(home), answered(home) {}
    env::Shard& shard;
    env::Event answered;
    std::optional<Result<T>> result;
  };
  template <class T>
  void answer(std::shared_ptr<Pending<T>> state, env::Duration delay,
              std::type_identity_t<Result<T>> result) {
    world_.after(delay, [state, result = std::move(result)]() mutable {
      env::Shard& shard = state->shard;
      shard.post([state, result = std::move(result)]() mutable {
        state->result.emplace(std::move(result));
        state->answered.notify_all();
      });
    });
  }
  template <class T, class Find>
  Task<Result<T>> ask(env::Shard& shard, Find find) {
    auto state = std::make_shared<Pending<T>>(shard);
    const bool refused = faults.gone || world_.random().chance(faults.refuse);
    if (!world_.random().chance(faults.silent)) {
      world_.after(latency(), [this, state, find, refused]() mutable {
        answer(state, latency(), refused ? Result<T>(fail(Code::unavailable, "503")) : find());
      });
    }
    while (!state->result) co_await state->answered.wait();
    co_return std::move(*state->result);
  }

  env::Duration latency() {
    const auto most = static_cast<uint64_t>(faults.latency_max.count());
    const uint64_t times = world_.random().chance(faults.tail) ? 20 : 1;
    return env::Duration(static_cast<int64_t>(times * (most / 10 + world_.random().below(most))));
  }
  Fate draw() {
    if (!next_puts.empty()) {
      const Fate fate = next_puts.front();
      next_puts.pop_front();
      return fate;
    }
    env::Random& random = world_.random();
    if (faults.gone || random.chance(faults.refuse)) return Fate::refuse;
    if (random.chance(faults.conflict)) return Fate::conflict;
    if (random.chance(faults.lose)) return Fate::lose;
    if (random.chance(faults.lose_after)) return Fate::lose_after;
    if (random.chance(faults.land_late)) return Fate::land_late;
    if (random.chance(faults.silent)) return Fate::silent;
    return Fate::fine;
  }
  Result<void> land(const std::string& key, const std::string& bytes) {
    const bool created = objects.try_emplace(key, Object{bytes, world_.now()}).second;
    if (!created) return fail(Code::already_exists, key);
    return {};
  }
  // Of one writer, or one sealer, a slot has one body for ever.
  void note_put(const std::string& key, const std::string& bytes) {
    ++puts[key];
    const auto header = decode_slot_header(as_bytes(bytes));
    if (!header) return;
    const auto [first, created] =
        bodies_.try_emplace({key, header->nonce.high}, std::hash<std::string>{}(bytes));
    if (!created && first->second != std::hash<std::string>{}(bytes))
      broken_rule = key + " was put with two bodies of one nonce";
  }
  Result<Slice> look(const std::string& key, uint64_t from, uint64_t bytes) {
    auto found = objects.find(key);
    if (found != objects.end() && world_.now() - found->second.since < kYoung &&
        world_.random().chance(faults.missing))
      found = objects.end();
    if (found == objects.end()) return fail(Code::not_found, key);
    if (world_.random().chance(faults.foreign)) {
      auto other = objects.begin();
      std::advance(other, static_cast<ptrdiff_t>(world_.random().below(objects.size())));
      found = other;
    }
    const std::string& body = found->second.body;
    if (from > body.size() || bytes > body.size() - from) return fail(Code::out_of_range, key);
    std::string read = body.substr(from, bytes);
    if (!read.empty() && world_.random().chance(faults.flip))
      read[world_.random().below(read.size())] ^= static_cast<char>(1 << world_.random().below(8));
    return Slice::copy_of(as_bytes(read));
  }

  env::SimWorld& world_;
  std::map<std::string, uint64_t> gone_;  // and their sizes
  std::map<std::pair<std::string, uint64_t>, size_t> bodies_;
};

}  // namespace paceline::wal
