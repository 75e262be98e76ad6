#include "cluster/member.h"

namespace paceline::cluster {

Task<Member::Turn> Member::take_turn() {
  while (changing_) co_await turn_.wait();
  changing_ = true;
  co_return Turn(*this);
}

meta::Transaction Member::guarded() const {
  meta::Transaction transaction;
  transaction.if_modified_at(meta::broker_key(options_.broker), registration_.at);
  return transaction;
}

Task<Result<Revision>> Member::commit(meta::Transaction transaction, std::string key,
                                      std::optional<std::string> value) {
  if (stopping_) co_return fail(Code::closed, "the broker leaves the cluster");
  auto done = co_await store_.commit(shard_, std::move(transaction));
  if (done) co_return *done;
  if (done.error().code == Code::maybe_written) {
    CO_TRY(auto entry, co_await store_.get(shard_, key));
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
