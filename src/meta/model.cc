#include "meta/model.h"

#include "meta/model_core.h"

namespace paceline::meta {

void ModelCore::settle(env::Instant now) {
  const Revision before = state.revision();
  // Late commits that are due arrive once the members are back.
  while (!late_.empty() && late_.begin()->first <= now && !down(now)) {
    const Transaction transaction = std::move(late_.begin()->second);
    late_.erase(late_.begin());
    (void)state.commit(transaction);
  }
  while (const auto lease = state.lease_due(now)) state.end_lease(*lease);
  if (state.revision() != before) wake();
}

void ModelCore::wake() {
  std::erase_if(watchers, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : watchers)
    if (auto watcher = weak.lock()) watcher->event.notify_all();
}

void ModelCore::commit_late(Transaction transaction, env::Instant due) {
  late_.emplace(due, std::move(transaction));
  wake();  // their next look has to be earlier
}

env::Instant ModelCore::next_due() const {
  env::Instant next = state.next_end();
  if (!late_.empty()) next = std::min(next, std::max(late_.begin()->first, down_end));
  return next;
}

env::Duration ModelCore::draw(env::Duration below) {
  return env::Duration(random.below(static_cast<uint64_t>(below.count())));
}
env::Duration ModelCore::delay() {
  return faults.delay_min + draw(faults.delay_max - faults.delay_min);
}

Model::Model(uint64_t seed) : core_(std::make_shared<ModelCore>(seed)) {}
Model::~Model() = default;

ModelFaults& Model::faults() {
  return core_->faults;
}
void Model::down_until(env::Instant when) {
  core_->down_end = std::max(core_->down_end, when);
  core_->state.renew_leases(core_->down_end);
  cut_watches();
}
void Model::cut_watches() {
  ++core_->cuts;
  core_->wake();
}
void Model::compact() {
  core_->state.compact();
}
void Model::end_leases() {
  core_->state.end_leases();
  core_->wake();
}
Revision Model::revision() const {
  return core_->state.revision();
}

}  // namespace paceline::meta
