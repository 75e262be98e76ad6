#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/member.h"

namespace paceline::cluster {
namespace {

constexpr int kAttemptsMax = 20;

}  // namespace

Task<Result<Fenced>> Member::fence(env::Shard& home, Lane lane, std::vector<BrokerId> doubtful) {
  auto ending = [this, lane, doubtful = std::move(doubtful)] {
    return end_incarnation(lane, doubtful);
  };
  co_return co_await env::call_on(shard_, home, std::move(ending));
}

// Nothing: that incarnation has ended.
Task<Result<std::optional<Model::Incarnation>>> Member::read_incarnation(Lane lane) {
  Model::Incarnation known;
  CO_TRY(const auto broker, co_await store_.get(shard_, meta::broker_key(lane.broker)));
  if (!broker) co_return fail(Code::not_found, "there is no such broker");
  CO_TRY(known.broker, meta::decode<meta::BrokerRecord>(broker->value));
  if (known.broker.incarnation != lane.incarnation || !known.broker.registered)
    co_return std::nullopt;
  CO_TRY(const auto entry, co_await store_.get(shard_, meta::lane_key(lane)));
  if (!entry) co_return fail(Code::corrupt, fmt::format("{} has no record", lane.to_string()));
  CO_TRY(known.lane, meta::decode<meta::LaneRecord>(entry->value));
  known.broker_at = broker->modified;
  known.lane_at = entry->modified;
  co_return known;
}

// The record of the broker decides: whoever changes it first has ended the incarnation. The lane's
// own record changes with each of its uploads, so a conflict may mean only that it still works.
Task<Result<Fenced>> Member::end_incarnation(Lane lane, std::vector<BrokerId> doubtful) {
  const std::string broker_key = meta::broker_key(lane.broker);
  const std::string lane_key = meta::lane_key(lane);
  for (int attempt = 0; attempt < kAttemptsMax && !stopping_; ++attempt) {
    // What is followed is nearly always the newest, and spares two round trips.
    auto known = attempt == 0 ? model_.incarnation(lane) : std::nullopt;
    const bool followed = known.has_value();
    if (!followed) {
      CO_TRY(known, co_await read_incarnation(lane));
    }
    if (!known) co_return Fenced{};
    meta::Transaction transaction = guarded();
    transaction.if_modified_at(broker_key, known->broker_at)
        .if_modified_at(lane_key, known->lane_at);
    meta::LaneRecord& record = known->lane;
    record.sealed = true;
    record.successors.clear();
    for (const auto& [heir, at] : model_.registered()) {
      if (heir.broker == lane.broker || std::ranges::find(doubtful, heir.broker) != doubtful.end())
        continue;
#ifdef PACELINE_PLANT_heirs_unchecked
      const bool ours = true;
#else
      const bool ours = heir.broker == options_.broker;
#endif
      if (!ours) transaction.if_modified_at(meta::broker_key(heir.broker), at);
      record.successors.push_back({heir, 1, ours ? options_.rack : std::string()});
    }
    if (record.successors.empty())
      co_return fail(Code::unavailable, "no other broker could take over");
    known->broker.registered = false;
    const std::string value = meta::encode(known->broker);
    transaction.put(broker_key, value).put(lane_key, meta::encode(record));
    auto done = co_await commit(std::move(transaction), broker_key, value);
    if (done) {
      log_warn("lane {} of broker {} is fenced, with {} successors", lane.to_string(),
               lane.broker.value, record.successors.size());
      co_await wait_shown(*done);
      co_return Fenced{true, *done, record.successors.size()};
    }
    if (done.error().code != Code::conflict && done.error().code != Code::maybe_written)
      co_return fail(std::move(done).error());
    // A successor that has gone meanwhile is known a moment later.
    if (!followed) co_await stop_.wait_until(shard_.now() + std::chrono::milliseconds(5));
  }
  co_return fail(Code::unavailable, fmt::format("{} could not be fenced", lane.to_string()));
}

Task<Result<std::shared_ptr<const Image>>> Member::newest_image(env::Shard& home) {
  co_return co_await env::call_on(shard_, home, [this] { return list_anew(); });
}

// A read that is not served from what a member of the store happens to have, then the watch.
Task<Result<std::shared_ptr<const Image>>> Member::list_anew() {
  CO_TRY(const auto range, co_await meta::range_prefix(store_, shard_, ""));
  Revision newest;
  for (const meta::Entry& entry : range.entries) newest = std::max(newest, entry.modified);
  CO_TRY_VOID(co_await wait_shown(newest));
  co_return image_.load();
}

}  // namespace paceline::cluster
