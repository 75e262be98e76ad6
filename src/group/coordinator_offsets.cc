#include <algorithm>

#include "group/group_coordinator.h"

namespace paceline::group {
namespace {

constexpr size_t kTopicBytesMax = 249;  // Kafka's legal names
constexpr size_t kTombstonesPerBatch = 500;

Record tombstone(const Key& key) {
  Record record;
  std::visit([&](const auto& known) { record.key = encode_key(known); }, key);
  return record;
}

KafkaError admit_offset(const OffsetCommit& commit, const Options& options) {
  if (commit.at.topic.size() > kTopicBytesMax) return KafkaError::invalid_topic_exception;
  const size_t bytes = commit.metadata ? commit.metadata->size() : 0;
  return bytes > std::min(options.offset_metadata_bytes_max, kStringBytesMax)
             ? KafkaError::offset_metadata_too_large
             : KafkaError::none;
}

}  // namespace

Task<KafkaError> GroupCoordinator::written(std::vector<Record> records) {
  auto reply = std::make_shared<Reply<KafkaError>>(shard_);
  journal_.write(std::move(records), [reply](KafkaError error) { reply->put(error); });
  co_return co_await wait(std::move(reply));
}

Task<KafkaError> GroupCoordinator::erase_records(std::vector<Record> tombstones) {
  for (size_t from = 0; from < tombstones.size(); from += kTombstonesPerBatch) {
    const size_t to = std::min(from + kTombstonesPerBatch, tombstones.size());
    std::vector<Record> some(tombstones.begin() + static_cast<ptrdiff_t>(from),
                             tombstones.begin() + static_cast<ptrdiff_t>(to));
    const KafkaError error = co_await written(std::move(some));
    if (error != KafkaError::none) co_return error;
  }
  co_return KafkaError::none;
}

Task<std::vector<KafkaError>> GroupCoordinator::commit(CommitRequest request) {
  auto pass = gate_.enter();
  std::vector<KafkaError> errors(request.offsets.size(), KafkaError::none);
  EntryPtr entry;
  KafkaError refused = refusal(request.group);
  if (refused == KafkaError::none) {
    entry = find(request.group);
    if (!entry && request.generation >= 0) refused = KafkaError::illegal_generation;
  }
  if (refused == KafkaError::none) {
    if (!entry) entry = find_or_create(request.group);
    refused = entry->core.admit_commit(request, now());
    schedule(entry);
  }
  if (refused != KafkaError::none) {
    std::ranges::fill(errors, refused);
    co_return errors;
  }
  std::vector<Record> records;
  for (size_t i = 0; i < request.offsets.size(); ++i) {
    OffsetCommit& from = request.offsets[i];
    errors[i] = admit_offset(from, options_);
    if (errors[i] != KafkaError::none) continue;
    OffsetValue value{from.offset, from.leader_epoch, std::move(from.metadata), shard_.wall_ms(),
                      from.expire_at_ms};
    records.push_back(encode_offset(OffsetKey{request.group, from.at}, value));
  }
  if (!records.empty()) {
    ++entry->commits_flying;
    const KafkaError outcome = commit_error(co_await written(std::move(records)));
    --entry->commits_flying;
    for (KafkaError& error : errors)
      if (error == KafkaError::none) error = outcome;
  }
  drop_if_unused(entry);
  co_return errors;
}

std::vector<std::pair<TopicPartition, CommittedOffset>> GroupCoordinator::fetch_offsets(
    const std::string& group, const std::optional<std::vector<TopicPartition>>& partitions) const {
  std::vector<std::pair<TopicPartition, CommittedOffset>> out;
  const Image::Group* known = image_.find(group);
  EntryPtr entry = find(group);
  if (entry && entry->core.state() == State::dead) known = nullptr;
  auto committed = [](const OffsetValue& value) {
    return CommittedOffset{value.offset, value.leader_epoch, value.metadata, value.commit_time_ms};
  };
  if (!partitions) {
    if (known)
      for (const auto& [at, value] : known->offsets) out.emplace_back(at, committed(value));
    return out;
  }
  for (const TopicPartition& at : *partitions) {
    CommittedOffset answer;
    answer.metadata = "";
    if (known) {
      auto found = known->offsets.find(at);
      if (found != known->offsets.end()) answer = committed(found->second);
    }
    out.emplace_back(at, std::move(answer));
  }
  return out;
}

Task<std::pair<KafkaError, std::vector<KafkaError>>> GroupCoordinator::delete_offsets(
    std::string group, std::vector<TopicPartition> partitions) {
  auto pass = gate_.enter();
  std::pair<KafkaError, std::vector<KafkaError>> answer{
      refusal(group), std::vector<KafkaError>(partitions.size(), KafkaError::none)};
  auto& [error, errors] = answer;
  EntryPtr entry = find(group);
  if (error == KafkaError::none && group.empty()) error = KafkaError::invalid_group_id;
  if (error == KafkaError::none)
    error = entry ? entry->core.admit_offset_delete() : KafkaError::group_id_not_found;
  if (error != KafkaError::none) co_return answer;
  std::vector<Record> tombstones;
  const Image::Group* known = image_.find(group);
  for (size_t i = 0; i < partitions.size(); ++i) {
    if (entry->core.subscribed(partitions[i].topic))
      errors[i] = KafkaError::group_subscribed_to_topic;
    else if (known && known->offsets.contains(partitions[i]))
      tombstones.push_back(tombstone(OffsetKey{group, partitions[i]}));
  }
  error = group_error(co_await erase_records(std::move(tombstones)));
  drop_if_unused(entry);
  co_return answer;
}

std::vector<Record> GroupCoordinator::tombstones_of(const std::string& group) const {
  std::vector<Record> records;
  const Image::Group* known = image_.find(group);
  if (!known) return records;
  for (const auto& [at, value] : known->offsets) records.push_back(tombstone(OffsetKey{group, at}));
  if (known->record) records.push_back(tombstone(GroupKey{group}));
  return records;
}

Task<KafkaError> GroupCoordinator::delete_group(std::string group) {
  auto pass = gate_.enter();
  KafkaError error = refusal(group);
  if (error == KafkaError::none && group.empty()) error = KafkaError::invalid_group_id;
  if (error != KafkaError::none) co_return error;
  EntryPtr entry = find(group);
  if (!entry) co_return KafkaError::group_id_not_found;
  error = entry->core.begin_delete();
  if (error != KafkaError::none) co_return error;
  schedule(entry);
  // From here nobody commits; what was admitted before us is waited for, then all of it goes.
  error = co_await written({});
  if (error == KafkaError::none) error = co_await erase_records(tombstones_of(group));
  if (error != KafkaError::none) {
    entry->core.delete_failed();
    co_return group_error(error);
  }
  groups_.erase(group);
  co_return KafkaError::none;
}

Task<void> GroupCoordinator::forget_topic(std::string topic) {
  auto pass = gate_.enter();
  if (refusal("") != KafkaError::none) co_return;
  if (co_await written({}) != KafkaError::none) co_return;
  std::vector<Record> tombstones;
  std::vector<EntryPtr> touched;
  for (const auto& [name, group] : image_.groups()) {
    const size_t before = tombstones.size();
    for (auto at = group.offsets.lower_bound({topic, INT32_MIN});
         at != group.offsets.end() && at->first.topic == topic; ++at)
      tombstones.push_back(tombstone(OffsetKey{name, at->first}));
    EntryPtr entry = find(name);
    if (entry && tombstones.size() > before) touched.push_back(std::move(entry));
  }
  co_await erase_records(std::move(tombstones));
  for (const EntryPtr& entry : touched) drop_if_unused(entry);
}

void GroupCoordinator::expire_offsets() {
  std::vector<EntryPtr> entries;
  for (const auto& [name, entry] : groups_) entries.push_back(entry);
  for (const EntryPtr& entry : entries) expire_group(entry);
  const env::Duration pause =
      std::chrono::milliseconds(std::max<int64_t>(options_.offsets_check_interval_ms, 1));
  expiry_timer_ = shard_.run_at(shard_.now() + pause, [this] { expire_offsets(); });
}

// A group with a commit on its way is left for the next round: its offset is younger than the one
// that looks expired. The rest of a very large group waits for that as well.
void GroupCoordinator::expire_group(const EntryPtr& entry) {
  const Image::Group* known = image_.find(entry->name);
  GroupCore& core = entry->core;
  if (entry->commits_flying > 0 || core.state() == State::dead || !known) return;
  const auto topics = core.subscribed_topics();
  const int64_t wall_ms = shard_.wall_ms();
  std::vector<Record> tombstones;
  for (const auto& [at, value] : known->offsets)
    if (tombstones.size() < kTombstonesPerBatch && core.expirable(at, value, topics, wall_ms))
      tombstones.push_back(tombstone(OffsetKey{entry->name, at}));
  const bool ends = core.unused() && tombstones.size() == known->offsets.size();
  if (!ends) {
    if (!tombstones.empty())
      journal_.write(std::move(tombstones), [this, entry](KafkaError) { drop_if_unused(entry); });
    return;
  }
  if (known->record) tombstones.push_back(tombstone(GroupKey{entry->name}));
  CHECK(core.begin_delete() == KafkaError::none);
  schedule(entry);
  journal_.write(std::move(tombstones), [this, entry](KafkaError error) {
    if (error != KafkaError::none) return entry->core.delete_failed();
    if (find(entry->name) == entry) groups_.erase(entry->name);
  });
}

}  // namespace paceline::group
