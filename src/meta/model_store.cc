#include "meta/limits.h"
#include "meta/model_core.h"

namespace paceline::meta {
namespace {

using namespace std::chrono_literals;
using CorePtr = std::shared_ptr<ModelCore>;

constexpr env::Duration kCallTimeout = 5s;  // as EtcdOptions::call_timeout

std::unexpected<Error> no_answer() {
  return fail(Code::unavailable, "etcd does not answer");
}
std::unexpected<Error> unknown() {
  return fail(Code::maybe_written, "etcd did not say whether it committed");
}

// The way there: until a member has the request, or time is up.
Task<Result<void>> reach(CorePtr core, env::Shard& shard) {
  const env::Instant deadline = shard.now() + kCallTimeout;
  co_await env::sleep_for(shard, core->delay());
  if (core->random.chance(core->faults.refused)) co_return no_answer();
  while (core->down(shard.now())) {
    co_await env::sleep_until(shard, std::min(core->down_end, deadline));
    if (shard.now() >= deadline) co_return no_answer();
  }
  core->settle(shard.now());
  co_return Result<void>{};
}

// Whoever is not answered hears of it by a broken connection, or by the deadline.
Task<void> wait_for_nothing(CorePtr core, env::Shard& shard) {
  const env::Duration wait = core->random.chance(0.7) ? core->delay() : kCallTimeout;
  co_await env::sleep_for(shard, wait);
}

Task<Result<std::optional<Entry>>> get_entry(CorePtr core, env::Shard& shard, std::string key) {
  CO_TRY_VOID(co_await reach(core, shard));
  auto entry = core->state.get(key);
  co_await env::sleep_for(shard, core->delay());
  co_return entry;
}

Task<Result<Range>> get_range(CorePtr core, env::Shard& shard, std::string from, std::string to,
                              size_t count_max) {
  if (count_max == 0) co_return fail(Code::invalid_argument, "a range of no entries was asked for");
  CO_TRY_VOID(co_await reach(core, shard));
  Range range = core->state.range(from, to, count_max);
  co_await env::sleep_for(shard, core->delay());
  co_return range;
}

Result<Revision> commit_now(ModelCore& core, const Transaction& transaction) {
  if (core.random.chance(core.faults.foreign_write)) core.state.take_revision();
  auto done = core.state.commit(transaction);
  core.wake();
  return done;
}

Task<Result<Revision>> commit_transaction(CorePtr core, env::Shard& shard,
                                          Transaction transaction) {
  CO_TRY_VOID(check_limits(transaction));
  // A request that is on its way when the members go: half of them were sent before.
  const bool sent = core->down(shard.now()) ? false : core->random.chance(0.5);
  co_await env::sleep_for(shard, core->delay());
  const bool caught = sent && core->down(shard.now());
  if (caught || core->random.chance(core->faults.late)) {
    core->commit_late(std::move(transaction), shard.now() + core->draw(core->faults.late_max));
    co_await wait_for_nothing(core, shard);
    co_return unknown();
  }
  CO_TRY_VOID(co_await reach(core, shard));
  if (core->random.chance(core->faults.lost_request)) {
    co_await wait_for_nothing(core, shard);
    co_return unknown();
  }
  auto done = commit_now(*core, transaction);
  co_await env::sleep_for(shard, core->delay());
  const bool lost = core->random.chance(core->faults.lost_answer) || core->down(shard.now());
  if (!lost) co_return done;
  co_await wait_for_nothing(core, shard);
  co_return unknown();
}

Task<Result<Lease>> grant_lease(CorePtr core, env::Shard& shard, std::chrono::seconds ttl) {
  if (ttl.count() <= 0)
    co_return fail(Code::invalid_argument, "a lease lives for a second at least");
  CO_TRY_VOID(co_await reach(core, shard));
  const env::Duration over = core->draw(core->faults.lease_over_max);
  const Lease lease{core->state.grant(ttl, shard.now() + ttl + over), ttl};
  core->wake();  // their next look may have to be earlier
  co_await env::sleep_for(shard, core->delay());
  co_return lease;
}

Task<Result<void>> keep_lease(CorePtr core, env::Shard& shard, LeaseId lease) {
  CO_TRY_VOID(co_await reach(core, shard));
  const env::Duration over = core->draw(core->faults.lease_over_max);
  const bool alive = core->state.keep_alive(lease, shard.now(), over);
  co_await env::sleep_for(shard, core->delay());
  if (!alive) co_return fail(Code::not_found, "the lease has ended");
  co_return Result<void>{};
}

Task<Result<void>> revoke_lease(CorePtr core, env::Shard& shard, LeaseId lease) {
  CO_TRY_VOID(co_await reach(core, shard));
  core->state.end_lease(lease);
  core->wake();
  co_await env::sleep_for(shard, core->delay());
  co_return Result<void>{};
}

class ModelStore final : public Store {
 public:
  explicit ModelStore(CorePtr core) : core_(std::move(core)) {}
  ~ModelStore() override {
    connection_.reset();
    core_->wake();
  }

  Task<Result<std::optional<Entry>>> get(env::Shard& shard, std::string key) override {
    return get_entry(core_, shard, std::move(key));
  }
  Task<Result<Range>> range(env::Shard& shard, std::string from, std::string to,
                            size_t count_max) override {
    return get_range(core_, shard, std::move(from), std::move(to), count_max);
  }
  Task<Result<Revision>> commit(env::Shard& shard, Transaction transaction) override {
    return commit_transaction(core_, shard, std::move(transaction));
  }
  Result<std::unique_ptr<Watch>> watch(env::Shard& shard, std::string prefix,
                                       Revision after) override {
    return watch_model(core_, connection_, shard, std::move(prefix), after);
  }
  Task<Result<Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    return grant_lease(core_, shard, ttl);
  }
  Task<Result<void>> keep_alive(env::Shard& shard, LeaseId lease) override {
    return keep_lease(core_, shard, lease);
  }
  Task<Result<void>> revoke(env::Shard& shard, LeaseId lease) override {
    return revoke_lease(core_, shard, lease);
  }

 private:
  CorePtr core_;
  std::shared_ptr<ModelConnection> connection_ = std::make_shared<ModelConnection>();
};

}  // namespace

std::unique_ptr<Store> Model::connect() {
  return std::make_unique<ModelStore>(core_);
}

}  // namespace paceline::meta
