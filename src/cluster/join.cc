#include <fmt/format.h>

#include "base/log.h"
#include "cluster/member.h"

namespace paceline::cluster {
namespace {

constexpr int kAttemptsMax = 20;

bool worth_another_look(const Error& error) {
  return error.code == Code::conflict || error.code == Code::maybe_written;
}

// An unknown outcome needs no care of its own: the next look finds the one record there can be.
Task<Result<Uuid>> settle_cluster_id(env::Shard& shard, meta::Store& store,
                                     std::optional<Uuid> demanded) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CO_TRY(auto entry, co_await store.get(shard, meta::cluster_key()));
    if (entry) {
      CO_TRY(auto record, meta::decode<meta::ClusterRecord>(entry->value));
      if (demanded && *demanded != record.cluster_id)
        co_return fail(Code::in_use,
                       fmt::format("the metadata belong to cluster {}, not to {}",
                                   record.cluster_id.to_string(), demanded->to_string()));
      co_return record.cluster_id;
    }
    meta::ClusterRecord record;
    const uint64_t high = shard.random();
    record.cluster_id = demanded ? *demanded : Uuid::from_random(high, shard.random());
    record.created_ms = shard.wall_ms();
    meta::Transaction create;
    create.if_absent(meta::cluster_key()).put(meta::cluster_key(), meta::encode(record));
    auto done = co_await store.commit(shard, std::move(create));
    if (!done && !worth_another_look(done.error())) co_return fail(std::move(done).error());
  }
  co_return fail(Code::unavailable, "the cluster record could not be settled");
}

// Adds to `fence` what ends `lane`, if it is open. Whether it was.
Task<Result<bool>> add_seal(env::Shard& shard, meta::Store& store, meta::Transaction* fence,
                            Lane lane, meta::Successor successor) {
  const std::string key = meta::lane_key(lane);
  CO_TRY(auto entry, co_await store.get(shard, key));
  if (!entry) {
    fence->if_absent(key);
    co_return false;
  }
  CO_TRY(auto record, meta::decode<meta::LaneRecord>(entry->value));
  fence->if_modified_at(key, entry->modified);
  if (record.sealed) co_return false;
  record.sealed = true;
  record.successors.assign(1, std::move(successor));
  fence->put(key, meta::encode(record));
  co_return true;
}

// After an unknown outcome the broker takes yet another incarnation: should the one before have
// been registered, then it was never used and its lane is sealed empty.
Task<Result<Registration>> register_broker(env::Shard& shard, meta::Store& store,
                                           const Options& options) {
  const std::string key = meta::broker_key(options.broker);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CO_TRY(auto entry, co_await store.get(shard, key));
    meta::BrokerRecord ours;
    ours.incarnation = Incarnation(1);
    ours.endpoints = options.endpoints;
    ours.rack = options.rack;
    meta::Transaction fence;
    bool former = false;
    if (entry) {
      CO_TRY(auto before, meta::decode<meta::BrokerRecord>(entry->value));
      ours.incarnation = before.incarnation + 1;
      fence.if_modified_at(key, entry->modified);
      const Lane old_lane{options.broker, before.incarnation};
      meta::Successor successor{Lane{options.broker, ours.incarnation}, 1, options.rack};
      CO_TRY(former, co_await add_seal(shard, store, &fence, old_lane, std::move(successor)));
    } else {
      fence.if_absent(key);
    }
    const Lane lane{options.broker, ours.incarnation};
    fence.if_absent(meta::lane_key(lane));
    fence.put(meta::lane_key(lane), meta::encode(meta::LaneRecord{}));
    fence.put(key, meta::encode(ours));
    auto done = co_await store.commit(shard, std::move(fence));
    if (done) co_return Registration{lane, *done, former};
    if (!worth_another_look(done.error())) co_return fail(std::move(done).error());
  }
  co_return fail(Code::unavailable,
                 fmt::format("broker {} could not be registered: its records keep changing",
                             options.broker.value));
}

}  // namespace

Task<Result<std::unique_ptr<Cluster>>> Cluster::join(env::Shard& shard, meta::Store& meta,
                                                     Options options) {
  CO_TRY(const Uuid cluster_id, co_await settle_cluster_id(shard, meta, options.cluster_id));
  CO_TRY(const Registration registration, co_await register_broker(shard, meta, options));
  log_info("broker {} is in cluster {} with lane {}", options.broker.value, cluster_id.to_string(),
           registration.lane.to_string());
  auto member = std::make_unique<Member>(shard, meta, std::move(options), cluster_id, registration);
  CO_TRY_VOID(co_await member->start());
  co_return std::unique_ptr<Cluster>(std::move(member));
}

}  // namespace paceline::cluster
