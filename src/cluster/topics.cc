#include <fmt/format.h>

#include "cluster/member.h"
#include "cluster/racks.h"

namespace paceline::cluster {
namespace {

constexpr uint32_t kPartitionsMax = 100'000;  // of one topic
// 64 partitions take some 2 KiB: far below a transaction's bytes, and half its operations.
constexpr size_t kPagesPerTransaction = 32;

std::unexpected<Error> no_topic(const std::string& name) {
  return fail(Code::not_found, fmt::format("there is no topic '{}'", name));
}

// The lane of the first of them that is registered.
std::optional<Lane> first_of(const std::vector<BrokerId>& preferred,
                             const std::vector<std::pair<Lane, Revision>>& registered) {
  for (BrokerId id : preferred)
    for (const auto& [lane, at] : registered)
      if (lane.broker == id) return lane;
  return std::nullopt;
}

}  // namespace

Task<Result<Uuid>> Member::create_topic(env::Shard& home, NewTopic topic) {
  auto make = [this, topic = std::move(topic)]() mutable { return create(std::move(topic)); };
  co_return co_await env::call_on(shard_, home, std::move(make));
}
Task<Result<void>> Member::delete_topic(env::Shard& home, std::string name) {
  auto make = [this, name = std::move(name)]() mutable { return erase(std::move(name)); };
  co_return co_await env::call_on(shard_, home, std::move(make));
}
Task<Result<void>> Member::grow_topic(env::Shard& home, std::string name, uint32_t partition_count,
                                      Assignments assigned) {
  auto make = [this, name = std::move(name), partition_count,
               assigned = std::move(assigned)]() mutable {
    return grow(std::move(name), partition_count, std::move(assigned));
  };
  co_return co_await env::call_on(shard_, home, std::move(make));
}

// Writes the pages of partitions [from, to), in terms that start at epoch 0, spread over all who
// are registered, rack after rack. What a failed attempt left there was never visible, so it is
// overwritten. Returns the last revision.
Task<Result<Revision>> Member::write_pages(Uuid id, uint32_t from, uint32_t to,
                                           Assignments assigned) {
  constexpr uint32_t kPerPage = meta::kPartitionsPerPage;
  Revision last;
  uint32_t page = from / kPerPage;
  const uint32_t page_end = (to + kPerPage - 1) / kPerPage;
  // A lane that is sealed meanwhile may not get a term: its broker's record tells, with each write.
  std::vector<std::pair<Lane, Revision>> leaders = model_.registered();
  std::erase_if(leaders, [&](const auto& one) {
    return one.first.broker == options_.broker && one.first != registration_.lane;
  });
  if (leaders.empty()) leaders.emplace_back(registration_.lane, registration_.at);
  std::vector<std::string> racks;
  for (const auto& [lane, at] : leaders) racks.push_back(model_.rack_of(lane.broker));
  const std::vector<size_t> order = alternate_racks(racks);
  const uint64_t turn = shard_.random();
  while (page < page_end) {
    meta::Transaction transaction = guarded();
    for (const auto& [lane, at] : leaders)
      if (lane.broker != options_.broker)
        transaction.if_modified_at(meta::broker_key(lane.broker), at);
    std::string key, value;
    for (size_t i = 0; i < kPagesPerTransaction && page < page_end; ++i, ++page) {
      key = meta::page_key(id, page);
      meta::PageRecord record;
      std::optional<meta::Entry> there;
      if (from > 0) {
        CO_TRY(there, co_await store_.get(shard_, key));
        if (there) {
          CO_TRY(record, meta::decode<meta::PageRecord>(there->value));
        }
      }
      std::erase_if(record.partitions,
                    [&](const auto& partition) { return partition.index >= from; });
      for (uint32_t index = std::max(from, page * kPerPage);
           index < std::min(to, (page + 1) * kPerPage); ++index) {
        Lane leader = leaders[order[(turn + index) % order.size()]].first;
        std::vector<BrokerId> preferred{leader.broker};
        if (!assigned.empty()) {
          preferred = assigned[index - from];
          if (const auto first = first_of(preferred, leaders)) leader = *first;
        }
        record.partitions.push_back({index, {Epoch{0}, leader}, std::move(preferred)});
      }
      if (there)
        transaction.if_modified_at(key, there->modified);
      else
        transaction.if_absent(key);
      value = meta::encode(record);
      transaction.put(key, value);
    }
    CO_TRY(last, co_await commit(std::move(transaction), key, value));
  }
  co_return last;
}

Task<Result<Uuid>> Member::create(NewTopic topic) {
  CO_TRY(auto turn, co_await take_turn());
  if (topic.partition_count == 0 || topic.partition_count > kPartitionsMax)
    co_return fail(Code::invalid_argument,
                   fmt::format("a topic has 1 to {} partitions", kPartitionsMax));
  if (model_.topics().contains(topic.name))
    co_return fail(Code::already_exists, fmt::format("topic '{}' is there already", topic.name));
  const uint64_t high = shard_.random();
  const Uuid id = Uuid::from_random(high, shard_.random());
  auto pages = co_await write_pages(id, 0, topic.partition_count, topic.assigned);
  if (!pages) {
    if (pages.error().code == Code::maybe_written)
      in_doubt_.insert(id);
    else
      shard_.spawn(remove_pages_later(id, background_.enter()));
    co_return fail(std::move(pages).error());
  }
  meta::TopicRecord record{id, topic.partition_count, topic.replication_factor, topic.internal,
                           std::move(topic.configs)};
  const std::string key = meta::topic_key(topic.name);
  const std::string value = meta::encode(record);
  meta::Transaction transaction = guarded();
  transaction.if_absent(key).put(key, value);
  auto done = co_await commit(std::move(transaction), key, value);
  if (!done) {
    // While the name may still appear, its pages must be there.
    if (done.error().code == Code::maybe_written)
      in_doubt_.insert(id);
    else
      shard_.spawn(remove_pages_later(id, background_.enter()));
    if (done.error().code == Code::conflict)
      co_return fail(Code::already_exists, fmt::format("topic '{}' is there already", topic.name));
    co_return fail(std::move(done).error());
  }
  CO_TRY_VOID(co_await wait_shown(*done));
  co_return id;
}

Task<Result<void>> Member::erase(std::string name) {
  CO_TRY(auto turn, co_await take_turn());
  const std::string key = meta::topic_key(name);
  CO_TRY(auto entry, co_await store_.get(shard_, key));
  if (!entry) co_return no_topic(name);
  CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry->value));
  meta::Transaction transaction = guarded();
  transaction.if_modified_at(key, entry->modified).remove(key);
  CO_TRY(const Revision done, co_await commit(std::move(transaction), key, std::nullopt));
  CO_TRY_VOID(co_await wait_shown(done));
  // A removal that was read back has no revision to wait for.
  const env::Instant until = shard_.now() + kPatience;
  while (model_.has_topic(record.topic_id) && !stopping_) {
    if (shard_.now() >= until) co_return not_seen();
    co_await shown_.wait_until(until);
  }
  shard_.spawn(remove_pages_later(record.topic_id, background_.enter()));
  co_return Result<void>{};
}

Task<Result<void>> Member::grow(std::string name, uint32_t partition_count, Assignments assigned) {
  CO_TRY(auto turn, co_await take_turn());
  const std::string key = meta::topic_key(name);
  CO_TRY(auto entry, co_await store_.get(shard_, key));
  if (!entry) co_return no_topic(name);
  CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry->value));
  if (partition_count <= record.partition_count || partition_count > kPartitionsMax)
    co_return fail(Code::invalid_argument,
                   fmt::format("topic '{}' has {} partitions and cannot have {}", name,
                               record.partition_count, partition_count));
  if (!assigned.empty() && assigned.size() != partition_count - record.partition_count)
    co_return fail(Code::invalid_argument,
                   fmt::format("topic '{}' has {} partitions now", name, record.partition_count));
  auto written = co_await write_pages(record.topic_id, record.partition_count, partition_count,
                                      std::move(assigned));
  if (!written) co_return fail(std::move(written).error());
  record.partition_count = partition_count;
  const std::string value = meta::encode(record);
  meta::Transaction transaction = guarded();
  transaction.if_modified_at(key, entry->modified).put(key, value);
  CO_TRY(const Revision done, co_await commit(std::move(transaction), key, value));
  co_return co_await wait_shown(done);
}

}  // namespace paceline::cluster
