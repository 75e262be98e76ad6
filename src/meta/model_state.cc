#include "meta/model_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::meta {

std::optional<Entry> ModelState::get(const std::string& key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  return found->second.entry;
}

Range ModelState::range(const std::string& from, const std::string& to, size_t count_max) const {
  Range range;
  range.revision = revision_;
  for (auto at = keys_.lower_bound(from); at != keys_.end() && (to.empty() || at->first < to);
       ++at) {
    if (range.entries.size() == count_max) {
      range.more = true;
      break;
    }
    range.entries.push_back(at->second.entry);
  }
  return range;
}

bool ModelState::holds(const Compare& compare) const {
  const auto found = keys_.find(compare.key);
  if (found == keys_.end()) return compare.what == Compare::What::absent;
  switch (compare.what) {
    case Compare::What::absent:
      return false;
    case Compare::What::exists:
      return true;
    case Compare::What::modified_equals:
      return found->second.entry.modified == compare.modified;
    case Compare::What::value_equals:
      return found->second.entry.value == compare.value;
  }
  return false;
}

Result<Revision> ModelState::commit(const Transaction& transaction) {
  for (const Compare& compare : transaction.compares)
    if (!holds(compare)) return fail(Code::conflict, "a compare did not hold");
  for (const Write& write : transaction.writes)
    if (write.lease != LeaseId{} && !leases_.contains(write.lease))
      return fail(Code::not_found, fmt::format("the lease of '{}' has ended", write.key));
  const Revision next = revision_ + 1;
  bool changed = false;
  for (const Write& write : transaction.writes) {
    if (write.what == Write::What::put) {
      put(write, next);
      changed = true;
    } else {
      changed |= remove(write.key, next);
    }
  }
  if (changed) revision_ = next;
  return revision_;
}

void ModelState::put(const Write& write, Revision revision) {
  auto [found, created] = keys_.try_emplace(write.key);
  Kept& kept = found->second;
  detach(write.key, kept.lease);
  if (created) kept.entry = {write.key, {}, revision, revision};
  kept.entry.value = write.value;
  kept.entry.modified = revision;
  kept.lease = write.lease;
  if (write.lease != LeaseId{}) leases_.at(write.lease).keys.insert(write.key);
  history_.push_back({revision, write.key, write.value});
}

bool ModelState::remove(const std::string& key, Revision revision) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return false;
  detach(key, found->second.lease);
  keys_.erase(found);
  history_.push_back({revision, key, std::nullopt});
  return true;
}

void ModelState::detach(const std::string& key, LeaseId lease) {
  if (const auto found = leases_.find(lease); found != leases_.end()) found->second.keys.erase(key);
}

Result<std::vector<Change>> ModelState::changes(const std::string& prefix, Revision after) const {
  if (after < compacted_)
    return fail(Code::compacted,
                fmt::format("changes up to revision {} are no longer kept", compacted_.value));
  std::vector<Change> changes;
  auto from = std::ranges::upper_bound(history_, after, {}, &Change::revision);
  for (; from != history_.end(); ++from)
    if (from->key.starts_with(prefix)) changes.push_back(*from);
  auto by_key = [](const Change& change) { return std::tie(change.revision, change.key); };
  std::ranges::sort(changes, {}, by_key);
  return changes;
}

void ModelState::compact() {
  compacted_ = revision_;
  history_.clear();
}

LeaseId ModelState::grant(std::chrono::seconds ttl, env::Instant end) {
  const LeaseId id(next_lease_++);
  leases_[id] = {ttl, end, {}};
  return id;
}

bool ModelState::keep_alive(LeaseId lease, env::Instant now, env::Duration over) {
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  found->second.end = std::max(found->second.end, now + found->second.ttl + over);
  return true;
}

void ModelState::end_lease(LeaseId lease) {
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return;
  const std::set<std::string> keys = std::move(found->second.keys);
  leases_.erase(found);
  if (keys.empty()) return;
  ++revision_;
  for (const std::string& key : keys) remove(key, revision_);
}

void ModelState::end_leases() {
  while (!leases_.empty()) end_lease(leases_.begin()->first);
}

void ModelState::renew_leases(env::Instant from) {
  for (auto& [id, term] : leases_) term.end = std::max(term.end, from + term.ttl);
}

std::optional<LeaseId> ModelState::lease_due(env::Instant now) const {
  for (const auto& [id, term] : leases_)
    if (term.end <= now) return id;
  return std::nullopt;
}

env::Instant ModelState::next_end() const {
  env::Instant next = env::Instant::never();
  for (const auto& [id, term] : leases_) next = std::min(next, term.end);
  return next;
}

}  // namespace paceline::meta
