#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/member.h"

namespace paceline::cluster {
namespace {

constexpr int kAttemptsMax = 20;

}  // namespace

Task<Result<bool>> Member::fence(env::Shard& home, Lane lane) {
  co_return co_await env::call_on(shard_, home, [this, lane] { return end_incarnation(lane); });
}

// The record of the broker decides: whoever changes it first has ended the incarnation. The lane's
// own record changes with each of its uploads, so a conflict may mean only that it still works.
Task<Result<bool>> Member::end_incarnation(Lane lane) {
  const std::string broker_key = meta::broker_key(lane.broker);
  const std::string lane_key = meta::lane_key(lane);
  for (int attempt = 0; attempt < kAttemptsMax && !stopping_; ++attempt) {
    CO_TRY(auto registered, co_await store_.get(shard_, broker_key));
    if (!registered) co_return fail(Code::not_found, "there is no such broker");
    CO_TRY(auto broker, meta::decode<meta::BrokerRecord>(registered->value));
    if (broker.incarnation != lane.incarnation || !broker.registered) co_return false;
    CO_TRY(auto entry, co_await store_.get(shard_, lane_key));
    if (!entry) co_return fail(Code::corrupt, fmt::format("{} has no record", lane.to_string()));
    CO_TRY(auto record, meta::decode<meta::LaneRecord>(entry->value));
    meta::Transaction transaction = guarded();
    transaction.if_modified_at(broker_key, registered->modified)
        .if_modified_at(lane_key, entry->modified);
    record.sealed = true;
    record.successors.clear();
    for (const auto& [heir, at] : model_.registered()) {
      if (heir.broker == lane.broker) continue;
      const bool ours = heir.broker == options_.broker;
      if (!ours) transaction.if_modified_at(meta::broker_key(heir.broker), at);
      record.successors.push_back({heir, 1, ours ? options_.rack : std::string()});
    }
    if (record.successors.empty())
      co_return fail(Code::unavailable, "no other broker could take over");
    broker.registered = false;
    const std::string value = meta::encode(broker);
    transaction.put(broker_key, value).put(lane_key, meta::encode(record));
    auto done = co_await commit(std::move(transaction), broker_key, value);
    if (done) {
      log_warn("lane {} of broker {} is fenced, with {} successors", lane.to_string(),
               lane.broker.value, record.successors.size());
      co_await wait_seen(Part::lanes, *done);
      co_return true;
    }
    if (done.error().code != Code::conflict && done.error().code != Code::maybe_written)
      co_return fail(std::move(done).error());
    // A successor that has gone meanwhile is known a moment later.
    co_await stop_.wait_until(shard_.now() + std::chrono::milliseconds(5));
  }
  co_return fail(Code::unavailable, fmt::format("{} could not be fenced", lane.to_string()));
}

Task<Result<std::shared_ptr<const Image>>> Member::newest_image(env::Shard& home) {
  co_return co_await env::call_on(shard_, home, [this] { return list_anew(); });
}

// A read that is not served from what a member of the store happens to have, then the watches.
Task<Result<std::shared_ptr<const Image>>> Member::list_anew() {
  for (const Part part : {Part::lanes, Part::topics, Part::pages}) {
    CO_TRY(const auto range, co_await meta::range_prefix(store_, shard_, part_prefix(part)));
    Revision newest;
    for (const meta::Entry& entry : range.entries) newest = std::max(newest, entry.modified);
    CO_TRY_VOID(co_await wait_seen(part, newest));
  }
  co_return image_.load();
}

}  // namespace paceline::cluster
