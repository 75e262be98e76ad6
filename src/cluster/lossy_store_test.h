#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "env/sync.h"
#include "meta/store.h"

namespace paceline::cluster {

// Tells nothing while `*held`.
class HeldWatch final : public meta::Watch {
 public:
  HeldWatch(env::Shard& shard, std::unique_ptr<meta::Watch> watch,
            std::shared_ptr<std::atomic<bool>> held)
      : shard_(shard), watch_(std::move(watch)), held_(std::move(held)) {}
  Task<Result<std::vector<meta::Change>>> next() override {
    auto changes = co_await watch_->next();
    while (*held_ && !cancelled_) co_await env::sleep_for(shard_, std::chrono::milliseconds(1));
    co_return changes;
  }
  void cancel() override {
    cancelled_ = true;
    watch_->cancel();
  }

 private:
  env::Shard& shard_;
  std::unique_ptr<meta::Watch> watch_;
  std::shared_ptr<std::atomic<bool>> held_;
  bool cancelled_ = false;
};

// Loses the answers of commits: of those that happened, that did not, or that happen when the
// answer has long been given up.
class LossyStore final : public meta::Store {
 public:
  enum class Loss { none, after_commit, before_commit, late };
  explicit LossyStore(std::unique_ptr<meta::Store> store) : store_(std::move(store)) {}
  std::atomic<Loss> next = Loss::none;  // of the next commit that writes `key`
  std::string key;
  std::optional<meta::Transaction> held;  // a late one
  std::atomic<bool> silent = false;       // once that commit was lost: its key cannot be read
  const std::shared_ptr<std::atomic<bool>> watches_held =
      std::make_shared<std::atomic<bool>>(false);

  Task<Result<std::optional<meta::Entry>>> get(env::Shard& shard, std::string wanted) override {
    if (wanted == key && next == Loss::none && silent.exchange(false))
      co_return fail(Code::unavailable, "no answer");
    co_return co_await store_->get(shard, std::move(wanted));
  }
  Task<Result<meta::Range>> range(env::Shard& shard, std::string from, std::string to,
                                  size_t count_max) override {
    co_return co_await store_->range(shard, std::move(from), std::move(to), count_max);
  }
  Task<Result<Revision>> commit(env::Shard& shard, meta::Transaction transaction) override {
    const bool hit = std::ranges::any_of(transaction.writes,
                                         [&](const auto& write) { return write.key == key; });
    const Loss loss = hit ? next.exchange(Loss::none) : Loss::none;
    if (loss == Loss::late) held = transaction;
    if (loss == Loss::before_commit || loss == Loss::late)
      co_return fail(Code::maybe_written, "lost");
    auto done = co_await store_->commit(shard, std::move(transaction));
    if (loss == Loss::after_commit) co_return fail(Code::maybe_written, "lost");
    co_return done;
  }
  Result<std::unique_ptr<meta::Watch>> watch(env::Shard& shard, std::string prefix,
                                             Revision after) override {
    auto watch = store_->watch(shard, std::move(prefix), after);
    if (!watch) return watch;
    return std::make_unique<HeldWatch>(shard, std::move(*watch), watches_held);
  }
  Task<Result<meta::Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    return store_->grant(shard, ttl);
  }
  Task<Result<void>> keep_alive(env::Shard& shard, meta::LeaseId lease) override {
    return store_->keep_alive(shard, lease);
  }
  Task<Result<void>> revoke(env::Shard& shard, meta::LeaseId lease) override {
    return store_->revoke(shard, lease);
  }

 private:
  std::unique_ptr<meta::Store> store_;
};

}  // namespace paceline::cluster
