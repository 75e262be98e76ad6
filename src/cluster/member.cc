#include "cluster/member.h"

#include "base/log.h"

namespace paceline::cluster {

Member::Member(env::Shard& shard, meta::Store& meta, Options options)
    : shard_(shard), meta_(meta), options_(std::move(options)), turn_(shard) {}

// Reads the cluster's record, or writes it as the first broker of all.
Task<Result<void>> Member::enter_cluster() {
  for (;;) {
    CO_TRY(auto entry, co_await meta_.get(shard_, meta::cluster_key()));
    if (entry) {
      CO_TRY(auto record, meta::decode<meta::ClusterRecord>(entry->value));
      if (options_.cluster_id && *options_.cluster_id != record.cluster_id)
        co_return fail(Code::in_use, fmt::format("this data belongs to cluster {}, not to {}",
                                                 record.cluster_id.to_string(), options_.cluster_id->to_string()));
      cluster_id_ = record.cluster_id;
      co_return Result<void>{};
    }
    meta::ClusterRecord record;
    record.cluster_id = options_.cluster_id ? *options_.cluster_id : Uuid::from_random(shard_.random(), shard_.random());
    record.created_ms = shard_.wall_ms();
    meta::Transaction create;
    create.if_absent(meta::cluster_key()).put(meta::cluster_key(), meta::encode(record));
    auto done = co_await meta_.commit(shard_, std::move(create));
    // Written, lost to another one, or unknown: what stands there now decides.
    if (!done && done.error().code != Code::conflict && done.error().code != Code::maybe_written)
      co_return fail(done.error());
  }
}

// The next incarnation, in one transaction: it fences the one before, whose lane is sealed with ours
// as the successor, and opens ours.
Task<Result<void>> Member::register_incarnation() {
  const std::string broker_key = meta::broker_key(options_.broker);
  for (;;) {
    CO_TRY(auto entry, co_await meta_.get(shard_, broker_key));
    meta::BrokerRecord record;
    meta::Transaction transaction;
    if (entry) {
      CO_TRY(record, meta::decode<meta::BrokerRecord>(entry->value));
      transaction.if_modified_at(broker_key, entry->modified);
    } else {
      transaction.if_absent(broker_key);
    }
    const Lane before{options_.broker, record.incarnation};
    lane_ = {options_.broker, record.incarnation + 1};
    if (entry) {
      CO_TRY(auto old, co_await meta_.get(shard_, meta::lane_key(before)));
      if (old) {
        CO_TRY(auto lane, meta::decode<meta::LaneRecord>(old->value));
        if (!lane.sealed) {
          lane.sealed = true;
          lane.successors = {{lane_, 1, options_.rack}};
          transaction.if_modified_at(meta::lane_key(before), old->modified);
          transaction.put(meta::lane_key(before), meta::encode(lane));
        }
      }
    }
    record.incarnation = lane_.incarnation;
    record.registered = true;
    record.endpoints = options_.endpoints;
    record.rack = options_.rack;
    transaction.put(broker_key, meta::encode(record));
    transaction.if_absent(meta::lane_key(lane_));
    transaction.put(meta::lane_key(lane_), meta::encode(meta::LaneRecord{}));
    auto done = co_await meta_.commit(shard_, std::move(transaction));
    if (done) co_return Result<void>{};
    // Unknown: a registration that happened is a life that never was; the next one fences it.
    if (done.error().code != Code::conflict && done.error().code != Code::maybe_written)
      co_return fail(done.error());
  }
}

Task<Result<void>> Member::load() {
  CO_TRY(auto lanes, co_await meta::range_prefix(meta_, shard_, meta::lanes_prefix(options_.broker)));
  for (const meta::Entry& entry : lanes.entries) {
    auto key = meta::parse_lane_key(entry.key);
    if (!key || key->kind != meta::LaneKey::Kind::lane) continue;
    CO_TRY(lanes_[key->lane], meta::decode<meta::LaneRecord>(entry.value));
  }
  auto image = std::make_shared<Image>();
  image->cluster_id = cluster_id_;
  image->brokers.push_back({options_.broker, lane_.incarnation, options_.endpoints, options_.rack});
  for (bool own : {true, false}) {
    auto id = own ? std::optional(options_.broker) : std::nullopt;
    CO_TRY(auto entry, co_await meta_.get(shard_, meta::broker_config_key(id)));
    if (!entry) continue;
    CO_TRY(auto record, meta::decode<meta::ConfigRecord>(entry->value));
    (own ? image->broker_configs : image->default_broker_configs) = record.configs;
  }
  publish(std::move(image));
  CO_TRY(auto topics, co_await meta::range_prefix(meta_, shard_, meta::topics_prefix()));
  for (const meta::Entry& entry : topics.entries) {
    CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry.value));
    CO_TRY_VOID(co_await load_topic(entry.key.substr(meta::topics_prefix().size()), record));
  }
  co_return Result<void>{};
}

Task<Result<meta::PageRecord>> Member::read_page(const Uuid& id, uint32_t page, Revision* revision) {
  CO_TRY(auto entry, co_await meta_.get(shard_, meta::page_key(id, page)));
  if (!entry) co_return fail(Code::corrupt, fmt::format("page {} of topic {} is missing", page, id.to_string()));
  if (revision) *revision = entry->modified;
  co_return meta::decode<meta::PageRecord>(entry->value);
}

// Puts one topic, as written down, into the image.
Task<Result<void>> Member::load_topic(const std::string& name, const meta::TopicRecord& record) {
  auto topic = std::make_shared<TopicImage>();
  topic->name = name;
  topic->id = record.topic_id;
  topic->internal = record.internal;
  topic->replication_factor = record.replication_factor;
  topic->configs = record.configs;
  auto find = [this](Lane lane) -> const meta::LaneRecord* {
    auto found = lanes_.find(lane);
    return found == lanes_.end() ? nullptr : &found->second;
  };
  for (uint32_t page = 0; page * meta::kPartitionsPerPage < record.partition_count; ++page) {
    CO_TRY(auto partitions, co_await read_page(record.topic_id, page, nullptr));
    for (const meta::PartitionRecord& partition : partitions.partitions) {
      if (topic->partitions.size() >= record.partition_count) break;
      PartitionImage& image = topic->partitions.emplace_back();
      auto leadership = leadership_of(partition, find);
      image.leader = leadership ? leadership->lane.broker : BrokerId(-1);
      image.epoch = leadership ? leadership->epoch : partition.term.epoch;
      image.replicas = {image.leader};
    }
  }
  if (topic->partitions.size() != record.partition_count)
    co_return fail(Code::corrupt, fmt::format("topic {} has pages for {} of {} partitions", name, topic->partitions.size(), record.partition_count));
  auto next = copy_image();
  next->topics[name] = topic;
  next->topics_by_id[topic->id] = topic;
  publish(std::move(next));
  co_return Result<void>{};
}

std::shared_ptr<Image> Member::copy_image() const { return std::make_shared<Image>(*image_.load()); }

void Member::publish(std::shared_ptr<Image> next) {
  next->revision = Revision(++revision_);
  std::shared_ptr<const Image> shared = std::move(next);
  image_.store(shared);
  for (auto& listener : listeners_) listener(shared);
}

void Member::on_image(std::function<void(std::shared_ptr<const Image>)> listener) {
  listeners_.push_back(std::move(listener));
}

Task<void> Member::take_turn() {
  while (busy_) co_await turn_.wait();
  busy_ = true;
}

void Member::end_turn() {
  busy_ = false;
  turn_.notify_all();
}

Task<Result<void>> Member::commit(meta::Transaction transaction, std::string key, std::optional<std::string> value) {
  transaction.if_exists(meta::lane_key(lane_));
  auto done = co_await meta_.commit(shard_, std::move(transaction));
  if (done) co_return Result<void>{};
  if (done.error().code != Code::maybe_written) co_return fail(done.error());
  CO_TRY(auto entry, co_await meta_.get(shard_, key));
  const bool happened = value ? entry && entry->value == *value : !entry;
  if (happened) co_return Result<void>{};
  co_return fail(Code::unavailable, "the metadata store did not take the change; try again");
}

Task<void> Member::stop(env::Shard& home) {
  auto last = [](Member* self) -> Task<void> {
    co_await self->take_turn();
    self->stopped_ = true;
    self->end_turn();
  };
  co_await env::call_on(shard_, home, [last, this] { return last(this); });
}

}  // namespace paceline::cluster
