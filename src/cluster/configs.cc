#include <fmt/format.h>

#include "cluster/member.h"

namespace paceline::cluster {
namespace {

constexpr int kAttemptsMax = 20;
// Ids of a block that are not used when the broker ends are lost; 63 bits of them are there.
constexpr int64_t kProducerIdsPerBlock = 1000;

std::unexpected<Error> keeps_changing(std::string_view what) {
  return fail(Code::unavailable, fmt::format("{} keeps changing; try again", what));
}

}  // namespace

Task<Result<void>> Member::change_topic_configs(env::Shard& home, std::string name,
                                                ConfigChange change) {
  auto make = [this, name = std::move(name), change = std::move(change)]() mutable {
    return edit_topic_configs(std::move(name), std::move(change));
  };
  co_return co_await env::call_on(shard_, home, std::move(make));
}
Task<Result<void>> Member::change_broker_configs(env::Shard& home, std::optional<BrokerId> id,
                                                 ConfigChange change) {
  auto make = [this, id, change = std::move(change)]() mutable {
    return edit_broker_configs(id, std::move(change));
  };
  co_return co_await env::call_on(shard_, home, std::move(make));
}
Task<Result<int64_t>> Member::next_producer_id(env::Shard& home) {
  co_return co_await env::call_on(shard_, home, [this] { return take_producer_id(); });
}

Task<Result<void>> Member::edit_topic_configs(std::string name, ConfigChange change) {
  CO_TRY(auto turn, co_await take_turn());
  const std::string key = meta::topic_key(name);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CO_TRY(auto entry, co_await store_.get(shard_, key));
    if (!entry) co_return fail(Code::not_found, fmt::format("there is no topic '{}'", name));
    CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry->value));
    change(record.configs);
    const std::string value = meta::encode(record);
    if (value == entry->value) co_return co_await wait_shown(entry->modified);
    meta::Transaction transaction = guarded();
    transaction.if_modified_at(key, entry->modified).put(key, value);
    auto done = co_await commit(std::move(transaction), key, value);
    if (done) co_return co_await wait_shown(*done);
    if (done.error().code != Code::conflict) co_return fail(std::move(done).error());
  }
  co_return keeps_changing("the topic");
}

Task<Result<void>> Member::edit_broker_configs(std::optional<BrokerId> id, ConfigChange change) {
  CO_TRY(auto turn, co_await take_turn());
  const std::string key = meta::broker_config_key(id);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CO_TRY(auto entry, co_await store_.get(shard_, key));
    meta::ConfigRecord record;
    if (entry) {
      CO_TRY(record, meta::decode<meta::ConfigRecord>(entry->value));
    }
    change(record.configs);
    const std::string value = meta::encode(record);
    if (entry && value == entry->value) co_return co_await wait_shown(entry->modified);
    meta::Transaction transaction = guarded();
    if (entry)
      transaction.if_modified_at(key, entry->modified);
    else
      transaction.if_absent(key);
    transaction.put(key, value);
    auto done = co_await commit(std::move(transaction), key, value);
    if (done) co_return co_await wait_shown(*done);
    if (done.error().code != Code::conflict) co_return fail(std::move(done).error());
  }
  co_return keeps_changing("the configuration");
}

Task<Result<int64_t>> Member::take_producer_id() {
  while (producer_id_next_ == producer_id_end_) {
    if (producer_ids_busy_) {
      co_await producer_ids_.wait();
      continue;
    }
    producer_ids_busy_ = true;
    auto reserved = co_await reserve_producer_ids();
    producer_ids_busy_ = false;
    producer_ids_.notify_all();
    if (!reserved) co_return fail(std::move(reserved).error());
  }
  co_return producer_id_next_++;
}

// After an unknown outcome the next block is taken: a block that nobody uses costs nothing.
Task<Result<void>> Member::reserve_producer_ids() {
  const std::string key = meta::producer_ids_key();
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CO_TRY(auto entry, co_await store_.get(shard_, key));
    meta::ProducerIdsRecord record;
    meta::Transaction transaction;
    if (entry) {
      CO_TRY(record, meta::decode<meta::ProducerIdsRecord>(entry->value));
      transaction.if_modified_at(key, entry->modified);
    } else {
      transaction.if_absent(key);
    }
    const int64_t first = record.next;
    record.next += kProducerIdsPerBlock;
    transaction.put(key, meta::encode(record));
    auto done = co_await store_.commit(shard_, std::move(transaction));
    if (done) {
      producer_id_next_ = first;
      producer_id_end_ = record.next;
      co_return Result<void>{};
    }
    if (done.error().code != Code::conflict && done.error().code != Code::maybe_written)
      co_return fail(std::move(done).error());
  }
  co_return keeps_changing("the producer id counter");
}

}  // namespace paceline::cluster
