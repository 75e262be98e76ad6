#include "sim/metadata_way.h"

namespace paceline::sim {
namespace {

using namespace std::chrono_literals;
using WayPtr = std::shared_ptr<const MetadataWay>;

constexpr env::Duration kPatience = 5s;  // as the model's, and etcd's client
constexpr env::Duration kLook = 25ms;    // at a way that is cut
constexpr env::Duration kLagMax = 2s;

std::unexpected<Error> no_answer() {
  return fail(Code::unavailable, "the metadata do not answer");
}

// What only asks, or may be asked again: without an answer nothing is known.
template <class T>
Task<Result<T>> ask(env::Shard& shard, WayPtr way, Task<Result<T>> call) {
  const env::Instant deadline = shard.now() + kPatience;
  if (way->there) {
    auto done = co_await std::move(call);
    if (way->back) co_return done;
  }
  co_await env::sleep_until(shard, deadline);
  co_return no_answer();
}

class CutWatch final : public meta::Watch {
 public:
  CutWatch(std::unique_ptr<meta::Watch> watch, env::Shard& shard, WayPtr way)
      : watch_(std::move(watch)), shard_(shard), way_(std::move(way)) {}

  Task<Result<std::vector<meta::Change>>> next() override {
    auto changes = co_await watch_->next();
    if (static_cast<double>(shard_.random() % 1000) < 1000 * way_->lag) {
      const env::Instant late =
          shard_.now() + env::Duration(static_cast<int64_t>(
                             shard_.random() % static_cast<uint64_t>(kLagMax.count())));
      while (shard_.now() < late && !cancelled_) co_await env::sleep_for(shard_, kLook);
    }
    while (!way_->whole() && !cancelled_) co_await env::sleep_for(shard_, kLook);
    if (cancelled_) co_return fail(Code::cancelled, "the watch was cancelled");
    co_return changes;
  }
  void cancel() override {
    cancelled_ = true;
    watch_->cancel();
  }

 private:
  const std::unique_ptr<meta::Watch> watch_;
  env::Shard& shard_;
  const WayPtr way_;
  bool cancelled_ = false;
};

class CutStore final : public meta::Store {
 public:
  CutStore(std::unique_ptr<meta::Store> store, WayPtr way)
      : store_(std::move(store)), way_(std::move(way)) {}

  Task<Result<std::optional<meta::Entry>>> get(env::Shard& shard, std::string key) override {
    return ask(shard, way_, store_->get(shard, std::move(key)));
  }
  Task<Result<meta::Range>> range(env::Shard& shard, std::string from, std::string to,
                                  size_t count_max) override {
    return ask(shard, way_, store_->range(shard, std::move(from), std::move(to), count_max));
  }
  Task<Result<Revision>> commit(env::Shard& shard, meta::Transaction transaction) override {
    return decide(shard, way_, store_->commit(shard, std::move(transaction)));
  }
  Result<std::unique_ptr<meta::Watch>> watch(env::Shard& shard, std::string prefix,
                                             Revision after) override {
    TRY(auto watch, store_->watch(shard, std::move(prefix), after));
    return std::make_unique<CutWatch>(std::move(watch), shard, way_);
  }
  Task<Result<meta::Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    return ask(shard, way_, store_->grant(shard, ttl));
  }
  Task<Result<void>> keep_alive(env::Shard& shard, meta::LeaseId lease) override {
    return ask(shard, way_, store_->keep_alive(shard, lease));
  }
  Task<Result<void>> revoke(env::Shard& shard, meta::LeaseId lease) override {
    return ask(shard, way_, store_->revoke(shard, lease));
  }

 private:
  static Task<Result<Revision>> decide(env::Shard& shard, WayPtr way, Task<Result<Revision>> call) {
    auto done = co_await ask(shard, std::move(way), std::move(call));
    if (!done && done.error().code == Code::unavailable)
      co_return fail(Code::maybe_written, "the metadata did not say whether they committed");
    co_return done;
  }

  const std::unique_ptr<meta::Store> store_;
  const WayPtr way_;
};

}  // namespace

std::unique_ptr<meta::Store> behind(std::unique_ptr<meta::Store> store, WayPtr way) {
  return std::make_unique<CutStore>(std::move(store), std::move(way));
}

}  // namespace paceline::sim
