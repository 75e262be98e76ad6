#include "base/log.h"
#include "cluster/member.h"

// Changes of topics and configurations, one at a time, on the member's shard.

namespace paceline::cluster {
namespace {

constexpr int64_t kProducerIdBlock = 1000;  // one transaction for so many producers

}  // namespace

// The `step` of each public call runs between take_turn() and end_turn() on our shard.
#define PACELINE_IN_TURN(Value, call)                                             \
  auto in_turn = [](auto* self, auto step) -> Task<Result<Value>> {               \
    co_await self->take_turn();                                                   \
    if (self->stopped_) {                                                         \
      self->end_turn();                                                           \
      co_return fail(Code::closed, "the broker is stopping");                     \
    }                                                                             \
    auto result = co_await step();                                                \
    self->end_turn();                                                             \
    co_return result;                                                             \
  };                                                                              \
  auto step = [&] { return call; };                                               \
  co_return co_await env::call_on(shard_, home, [in_turn, step, this] { return in_turn(this, step); })

Task<Result<Uuid>> Member::create_topic(env::Shard& home, NewTopic topic) {
  PACELINE_IN_TURN(Uuid, create(std::move(topic)));
}
Task<Result<void>> Member::delete_topic(env::Shard& home, std::string name) {
  PACELINE_IN_TURN(void, remove(std::move(name)));
}
Task<Result<void>> Member::grow_topic(env::Shard& home, std::string name, uint32_t partition_count) {
  PACELINE_IN_TURN(void, grow(std::move(name), partition_count));
}
Task<Result<void>> Member::change_topic_configs(env::Shard& home, std::string name, ConfigChange change) {
  PACELINE_IN_TURN(void, set_topic_configs(std::move(name), std::move(change)));
}
Task<Result<void>> Member::change_broker_configs(env::Shard& home, std::optional<BrokerId> id, ConfigChange change) {
  PACELINE_IN_TURN(void, set_broker_configs(id, std::move(change)));
}
Task<Result<int64_t>> Member::next_producer_id(env::Shard& home) {
  PACELINE_IN_TURN(int64_t, give_producer_id());
}
Task<Result<void>> Member::materialise(env::Shard& home) { PACELINE_IN_TURN(void, write_terms()); }

// New pages for the partitions [from, to); a page that is there is filled up.
Task<Result<void>> Member::write_pages(const Uuid& id, uint32_t from, uint32_t to) {
  constexpr uint32_t kPage = meta::kPartitionsPerPage;
  for (uint32_t page = from / kPage; page * kPage < to; ++page) {
    meta::PageRecord record;
    meta::Transaction transaction;
    const std::string key = meta::page_key(id, page);
    CO_TRY(auto entry, co_await meta_.get(shard_, key));
    if (entry) {
      CO_TRY(record, meta::decode<meta::PageRecord>(entry->value));
      transaction.if_modified_at(key, entry->modified);
    } else {
      transaction.if_absent(key);
    }
    for (uint32_t index = page * kPage + static_cast<uint32_t>(record.partitions.size());
         index < std::min(to, (page + 1) * kPage); ++index)
      record.partitions.push_back({index, {Epoch(0), lane_}, {options_.broker}});
    const std::string value = meta::encode(record);
    transaction.put(key, value);
    CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
  }
  co_return Result<void>{};
}

Task<void> Member::remove_pages(Uuid id) {
  auto pages = co_await meta::range_prefix(meta_, shard_, meta::pages_prefix(id));
  if (!pages) co_return;
  for (const meta::Entry& entry : pages->entries) {
    meta::Transaction transaction;
    transaction.remove(entry.key);
    (void)co_await meta_.commit(shard_, std::move(transaction));
  }
}

// Pages first, the name last: a big topic appears whole.
Task<Result<Uuid>> Member::create(NewTopic topic) {
  if (image()->topic(topic.name)) co_return fail(Code::already_exists, fmt::format("Topic '{}' already exists.", topic.name));
  meta::TopicRecord record;
  record.topic_id = Uuid::from_random(shard_.random(), shard_.random());
  record.partition_count = topic.partition_count;
  record.replication_factor = topic.replication_factor;
  record.internal = topic.internal;
  record.configs = topic.configs;
  auto pages = co_await write_pages(record.topic_id, 0, record.partition_count);
  if (!pages) {
    co_await remove_pages(record.topic_id);
    co_return fail(pages.error());
  }
  const std::string key = meta::topic_key(topic.name);
  const std::string value = meta::encode(record);
  meta::Transaction transaction;
  transaction.if_absent(key).put(key, value);
  auto done = co_await commit(std::move(transaction), key, value);
  if (!done) {
    co_await remove_pages(record.topic_id);
    co_return fail(done.error());
  }
  CO_TRY_VOID(co_await load_topic(topic.name, record));
  co_return record.topic_id;
}

Task<Result<void>> Member::remove(std::string name) {
  const TopicImage* topic = image()->topic(name);
  if (!topic) co_return fail(Code::not_found, fmt::format("Topic '{}' does not exist.", name));
  const Uuid id = topic->id;
  const std::string key = meta::topic_key(name);
  meta::Transaction transaction;
  transaction.if_exists(key).remove(key);
  CO_TRY_VOID(co_await commit(std::move(transaction), key, std::nullopt));
  auto next = copy_image();
  next->topics.erase(name);
  next->topics_by_id.erase(id);
  publish(std::move(next));
  co_await remove_pages(id);
  co_return Result<void>{};
}

namespace {

struct Written {
  meta::TopicRecord record;
  Revision revision;
};
Task<Result<Written>> read_topic(meta::Store& store, env::Shard& shard, std::string name) {
  CO_TRY(auto entry, co_await store.get(shard, meta::topic_key(name)));
  if (!entry) co_return fail(Code::not_found, fmt::format("Topic '{}' does not exist.", name));
  CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry->value));
  co_return Written{std::move(record), entry->modified};
}

}  // namespace

Task<Result<void>> Member::grow(std::string name, uint32_t partition_count) {
  CO_TRY(auto written, co_await read_topic(meta_, shard_, name));
  if (partition_count <= written.record.partition_count)
    co_return fail(Code::invalid_argument, fmt::format("topic '{}' has {} partitions already", name, written.record.partition_count));
  CO_TRY_VOID(co_await write_pages(written.record.topic_id, written.record.partition_count, partition_count));
  written.record.partition_count = partition_count;
  const std::string key = meta::topic_key(name);
  const std::string value = meta::encode(written.record);
  meta::Transaction transaction;
  transaction.if_modified_at(key, written.revision).put(key, value);
  CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
  co_return co_await load_topic(name, written.record);
}

Task<Result<void>> Member::set_topic_configs(std::string name, ConfigChange change) {
  CO_TRY(auto written, co_await read_topic(meta_, shard_, name));
  change(written.record.configs);
  const std::string key = meta::topic_key(name);
  const std::string value = meta::encode(written.record);
  meta::Transaction transaction;
  transaction.if_modified_at(key, written.revision).put(key, value);
  CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
  co_return co_await load_topic(name, written.record);
}

Task<Result<void>> Member::set_broker_configs(std::optional<BrokerId> id, ConfigChange change) {
  const std::string key = meta::broker_config_key(id);
  CO_TRY(auto entry, co_await meta_.get(shard_, key));
  meta::ConfigRecord record;
  meta::Transaction transaction;
  if (entry) {
    CO_TRY(record, meta::decode<meta::ConfigRecord>(entry->value));
    transaction.if_modified_at(key, entry->modified);
  } else {
    transaction.if_absent(key);
  }
  change(record.configs);
  const std::string value = meta::encode(record);
  transaction.put(key, value);
  CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
  auto next = copy_image();
  (id ? next->broker_configs : next->default_broker_configs) = record.configs;
  publish(std::move(next));
  co_return Result<void>{};
}

Task<Result<int64_t>> Member::give_producer_id() {
  if (producer_id_next_ == producer_id_end_) {
    const std::string key = meta::producer_ids_key();
    CO_TRY(auto entry, co_await meta_.get(shard_, key));
    meta::ProducerIdsRecord record;
    meta::Transaction transaction;
    if (entry) {
      CO_TRY(record, meta::decode<meta::ProducerIdsRecord>(entry->value));
      transaction.if_modified_at(key, entry->modified);
    } else {
      transaction.if_absent(key);
    }
    const int64_t first = record.next;
    record.next += kProducerIdBlock;
    const std::string value = meta::encode(record);
    transaction.put(key, value);
    CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
    producer_id_next_ = first;
    producer_id_end_ = record.next;
  }
  co_return producer_id_next_++;
}

// Each page whose terms stand in sealed lanes gets the terms in force: the chain that a reader of the
// page follows is short again.
Task<Result<void>> Member::write_terms() {
  auto find = [this](Lane lane) -> const meta::LaneRecord* {
    auto found = lanes_.find(lane);
    return found == lanes_.end() ? nullptr : &found->second;
  };
  const auto now = image();
  for (const auto& [name, topic] : now->topics) {
    for (uint32_t page = 0; page * meta::kPartitionsPerPage < topic->partitions.size(); ++page) {
      Revision revision;
      CO_TRY(auto record, co_await read_page(topic->id, page, &revision));
      bool changed = false;
      for (meta::PartitionRecord& partition : record.partitions) {
        auto leadership = leadership_of(partition, find);
        if (!leadership || leadership->lane == partition.term.lane) continue;
        partition.term = {leadership->epoch, leadership->lane};
        changed = true;
      }
      if (!changed) continue;
      const std::string key = meta::page_key(topic->id, page);
      const std::string value = meta::encode(record);
      meta::Transaction transaction;
      transaction.if_modified_at(key, revision).put(key, value);
      CO_TRY_VOID(co_await commit(std::move(transaction), key, value));
    }
  }
  co_return Result<void>{};
}

}  // namespace paceline::cluster
