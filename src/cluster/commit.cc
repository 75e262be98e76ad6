#include <algorithm>

#include "cluster/member.h"

namespace paceline::cluster {

// Whoever has the turn asks the store twice, a commit and what became of it, and each call has its
// own deadline. A queue of them must not add up: one that sees no change get through gives up.
Task<Result<Member::Turn>> Member::take_turn() {
  const env::Instant began = shard_.now();
  while (changing_) {
    const env::Instant until = std::max(began, committed_at_) + kPatience;
    if (shard_.now() >= until)
      co_return fail(Code::unavailable,
                     "the metadata store does not answer; changes before this one wait for it");
    co_await turn_.wait_until(until);
  }
  changing_ = true;
  co_return Turn(*this);
}

meta::Transaction Member::guarded() const {
  meta::Transaction transaction;
  transaction.if_modified_at(meta::broker_key(options_.broker), registration_.at);
  return transaction;
}

Task<Result<Revision>> Member::commit_and_take_in(meta::Transaction transaction) {
  const std::vector<meta::Write> writes = transaction.writes;
  auto done = co_await store_.commit(shard_, std::move(transaction));
  if (done) take_in_own(writes, *done);
  co_return done;
}

Task<Result<Revision>> Member::commit(meta::Transaction transaction, std::string key,
                                      std::optional<std::string> value) {
  if (stopping_) co_return fail(Code::closed, "the broker leaves the cluster");
  auto done = co_await commit_and_take_in(std::move(transaction));
  if (done) {
    committed_at_ = shard_.now();
    co_return *done;
  }
  if (done.error().code == Code::maybe_written) {
    auto read = co_await store_.get(shard_, key);
    if (!read) co_return fail(std::move(done).error());  // still unknown
    const auto& entry = *read;
    if (value && entry && entry->value == *value) co_return entry->modified;
    if (!value && !entry) co_return Revision{};
  }
  if (done.error().code == Code::conflict) {
    CO_TRY(auto broker, co_await store_.get(shard_, meta::broker_key(options_.broker)));
    if (!broker || broker->modified != registration_.at)
      co_return fail(Code::fenced, "a newer incarnation of this broker is registered");
  }
  co_return fail(std::move(done).error());
}

}  // namespace paceline::cluster
