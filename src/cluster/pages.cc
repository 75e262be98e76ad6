#include <algorithm>

#include "base/log.h"
#include "cluster/member.h"

namespace paceline::cluster {

Task<Result<void>> Member::remove_pages(Uuid id) {
  constexpr size_t kRemovals = 100;  // a transaction
  for (;;) {
    const std::string prefix = meta::pages_prefix(id);
    CO_TRY(auto range, co_await store_.range(shard_, prefix, meta::prefix_end(prefix), kRemovals));
    if (range.entries.empty()) co_return Result<void>{};
    meta::Transaction transaction = guarded();
    for (const meta::Entry& entry : range.entries) transaction.remove(entry.key);
    CO_TRY_VOID(co_await commit(std::move(transaction), range.entries.front().key, std::nullopt));
  }
}

// What it leaves is removed after the next start.
Task<void> Member::remove_pages_later(Uuid id, env::Gate::Pass) {
  auto removed = co_await remove_pages(id);
  if (!removed && !stopping_)
    log_warn("pages of topic {} stay for now: {}", id.to_string(), removed.error().to_string());
}

// Nobody can finish the creation that these pages belong to: the lane of their maker is sealed, so
// its transactions fail; or the maker is us, with no creation under way.
bool Member::is_orphan(const Uuid& topic, const Model::Pages& pages) const {
  if (model_.has_topic(topic) || in_doubt_.contains(topic)) return false;
  // Beside others nobody can tell whose creation it is.
  if (model_.registered().size() > 1) return false;
  for (const auto& [number, page] : pages)
    for (const meta::PartitionRecord& partition : page.record.partitions) {
      const meta::LaneRecord* lane = model_.lane(partition.term.lane);
      if (lane && !lane->sealed && partition.term.lane != registration_.lane) return false;
    }
  return true;
}

// A term is written down at its present epoch once the lane it named is sealed and the chain of
// sealed lanes ends in ours.
Task<Result<void>> Member::settle_page(Uuid topic, uint32_t number, Model::Page page) {
  bool changed = false;
  for (meta::PartitionRecord& partition : page.record.partitions) {
    const auto live = model_.live_term(partition, topic);
    if (!live || live->lane != registration_.lane || partition.term.lane == live->lane) continue;
    // What another broker has left stays told as such until a life of ours has begun with it.
    if (live->from && live->from->broker != options_.broker) continue;
    partition.term = {live->epoch, live->lane};
    changed = true;
  }
  if (!changed) co_return Result<void>{};
  const std::string key = meta::page_key(topic, number);
  const std::string value = meta::encode(page.record);
  meta::Transaction transaction = guarded();
  transaction.if_modified_at(key, page.modified).put(key, value);
  auto done = co_await commit(std::move(transaction), key, value);
  // Somebody rewrote or removed the page: it needs nothing from us, or the next start does it.
  if (!done && done.error().code != Code::conflict) co_return fail(std::move(done).error());
  if (done) co_return co_await wait_shown(*done);
  co_return Result<void>{};
}

Task<Result<void>> Member::settle_pages() {
  std::vector<Uuid> topics;
  for (const auto& [topic, pages] : model_.pages()) topics.push_back(topic);
  for (const Uuid& topic : topics) {
    CO_TRY(auto turn, co_await take_turn());
    auto found = model_.pages().find(topic);
    if (found == model_.pages().end()) continue;
    const Model::Pages pages = found->second;
    if (is_orphan(topic, pages)) {
      CO_TRY_VOID(co_await remove_pages(topic));
      continue;
    }
    for (const auto& [number, page] : pages) CO_TRY_VOID(co_await settle_page(topic, number, page));
  }
  co_return Result<void>{};
}

Task<Result<void>> Member::materialise(env::Shard& home) {
  co_return co_await env::call_on(shard_, home, [this] { return settle_pages(); });
}

}  // namespace paceline::cluster
