#include <fmt/format.h>

#include "base/log.h"
#include "group/group_coordinator.h"
#include "record/records.h"

namespace paceline::group {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;

// As java.util.UUID prints a random one, which is what ends Kafka's member ids.
std::string uuid_text(uint64_t high, uint64_t low) {
  high = (high & ~0xf000ull) | 0x4000ull;
  low = (low & 0x3fffffffffffffffull) | 0x8000000000000000ull;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffull);
}

env::Instant instant(int64_t ms) {
  return env::Instant{env::Duration(ms * kNanosPerMs)};
}

}  // namespace

std::unique_ptr<Coordinator> Coordinator::create(env::Shard& shard, Options options) {
  return std::make_unique<GroupCoordinator>(shard, options);
}

KafkaError group_error(KafkaError append) {
  switch (append) {
    case KafkaError::none:
      return KafkaError::none;
    case KafkaError::not_coordinator:
    case KafkaError::not_leader_or_follower:
    case KafkaError::fenced_leader_epoch:
    case KafkaError::kafka_storage_error:
      return KafkaError::not_coordinator;
    case KafkaError::message_too_large:
    case KafkaError::record_list_too_large:
    case KafkaError::invalid_fetch_size:
      return KafkaError::unknown_server_error;
    default:
      return KafkaError::coordinator_not_available;
  }
}

KafkaError commit_error(KafkaError append) {
  const KafkaError error = group_error(append);
  return error == KafkaError::unknown_server_error ? KafkaError::invalid_commit_offset_size : error;
}

GroupCoordinator::GroupCoordinator(env::Shard& shard, Options options)
    : shard_(shard), options_(options), journal_(shard, image_), gate_(shard) {}

GroupCoordinator::~GroupCoordinator() {
  if (timer_) shard_.cancel_timer(*timer_);
  if (expiry_timer_) shard_.cancel_timer(*expiry_timer_);
}

void GroupCoordinator::restore(std::string_view snapshot) {
  CHECK(!bound_);
  if (image_.restore(snapshot)) return;
  log_error("group: a snapshot of {} bytes cannot be read; its groups are not served",
            snapshot.size());
  unreadable_ = snapshot;
}

void GroupCoordinator::replay(const stream::Batch& batch) {
  CHECK(!bound_);
  auto view = record::BatchView::parse(batch.bytes.bytes());
  if (!view || view->control()) return;
  auto reader = record::RecordReader::open(*view);
  while (reader) {
    auto next = reader->next();
    if (!next) {
      log_error("group: a batch at {} cannot be read: {}", batch.base.value, next.error().message);
      return;
    }
    if (!*next) return;
    const record::RecordView& from = **next;
    if (!from.key) continue;
    Record record{std::string(*from.key), std::nullopt};
    if (from.value) record.value = std::string(*from.value);
    for (const record::HeaderView& header : from.headers)
      record.null_metadata = record.null_metadata || header.key == kNullMetadataHeader;
    image_.apply(record, from.offset);
  }
  log_error("group: a batch at {} cannot be opened: {}", batch.base.value, reader.error().message);
}

std::string GroupCoordinator::snapshot(Offset end) {
  if (!unreadable_.empty()) return unreadable_;
  journal_.settle(end);
  return image_.snapshot(end);
}

void GroupCoordinator::bind(partition::Partition& partition) {
  CHECK(!bound_ && !closed_);
  journal_.bind(partition);
  bound_ = true;
  for (const auto& [name, group] : image_.groups()) {
    const GroupRecord* record = group.record ? &*group.record : nullptr;
    auto entry = std::make_shared<Entry>(name, options_, record, now());
    groups_.emplace(name, entry);
    schedule(entry);
  }
  expire_offsets();
}

void GroupCoordinator::set_options(Options options) {
  options_ = options;
}

Now GroupCoordinator::now() const {
  return {shard_.now().since_start.count() / kNanosPerMs, shard_.wall_ms()};
}

KafkaError GroupCoordinator::refusal(const std::string& group) const {
  if (closed_) return KafkaError::not_coordinator;
  if (!unreadable_.empty()) return KafkaError::coordinator_not_available;
  if (!bound_) return KafkaError::coordinator_load_in_progress;
  return group.size() > kStringBytesMax ? KafkaError::invalid_group_id : KafkaError::none;
}

GroupCoordinator::EntryPtr GroupCoordinator::find(const std::string& group) const {
  auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second;
}

GroupCoordinator::EntryPtr GroupCoordinator::find_or_create(const std::string& group) {
  EntryPtr& entry = groups_[group];
  if (!entry) entry = std::make_shared<Entry>(group, options_, nullptr, now());
  return entry;
}

Task<JoinResponse> GroupCoordinator::join(JoinRequest request) {
  auto pass = gate_.enter();
  JoinResponse refused;
  refused.member = request.member;
  refused.error = refusal(request.group);
  if (refused.error == KafkaError::none && request.group.empty())
    refused.error = KafkaError::invalid_group_id;
  EntryPtr entry = find(request.group);
  if (refused.error == KafkaError::none && !entry && !request.member.empty())
    refused.error = KafkaError::unknown_member_id;
  if (refused.error != KafkaError::none) co_return refused;
  if (!entry) entry = find_or_create(request.group);

  const RequestId id = ++last_request_;
  auto reply = std::make_shared<Reply<JoinResponse>>(shard_);
  joins_.emplace(id, reply);
  const uint64_t high = shard_.random();
  const std::string unique = uuid_text(high, shard_.random());
  perform(entry, entry->core.join(id, std::move(request), unique, now()));
  co_return co_await wait(std::move(reply));
}

Task<SyncResponse> GroupCoordinator::sync(SyncRequest request) {
  auto pass = gate_.enter();
  SyncResponse refused;
  refused.error = refusal(request.group);
  if (refused.error == KafkaError::none && request.group.empty())
    refused.error = KafkaError::invalid_group_id;
  EntryPtr entry = find(request.group);
  if (refused.error == KafkaError::none && !entry) refused.error = KafkaError::unknown_member_id;
  if (refused.error != KafkaError::none) co_return refused;
  const RequestId id = ++last_request_;
  auto reply = std::make_shared<Reply<SyncResponse>>(shard_);
  syncs_.emplace(id, reply);
  perform(entry, entry->core.sync(id, std::move(request), now()));
  co_return co_await wait(std::move(reply));
}

Task<KafkaError> GroupCoordinator::heartbeat(HeartbeatRequest request) {
  KafkaError refused = refusal(request.group);
  // While the groups are read the members are alive: their sessions start with us.
  if (refused == KafkaError::coordinator_load_in_progress) co_return KafkaError::none;
  if (refused == KafkaError::none && request.group.empty()) refused = KafkaError::invalid_group_id;
  if (refused != KafkaError::none) co_return refused;
  EntryPtr entry = find(request.group);
  if (!entry) co_return KafkaError::unknown_member_id;
  const KafkaError error = entry->core.heartbeat(request, now());
  schedule(entry);
  co_return error;
}

Task<KafkaError> GroupCoordinator::leave(std::string group, std::vector<LeavingMember>& members) {
  auto pass = gate_.enter();
  KafkaError refused = refusal(group);
  if (refused == KafkaError::none && group.empty()) refused = KafkaError::invalid_group_id;
  if (refused != KafkaError::none) co_return refused;
  EntryPtr entry = find(group);
  if (!entry) {
    for (LeavingMember& member : members) member.error = KafkaError::unknown_member_id;
    co_return KafkaError::none;
  }
  Actions actions = entry->core.leave(members, now());
  const bool writes = !actions.writes.empty();
  auto durable = std::make_shared<Reply<KafkaError>>(shard_);
  perform(entry, std::move(actions), durable);
  // The member is gone whether that could be written or not: it left, and would not come back.
  if (writes) co_await wait(std::move(durable));
  co_return KafkaError::none;
}

void GroupCoordinator::perform(const EntryPtr& entry, Actions actions,
                               std::shared_ptr<Reply<KafkaError>> last) {
  for (Actions::Join& answer : actions.joins) {
    auto node = joins_.extract(answer.id);
    if (!node.empty()) node.mapped()->put(std::move(answer.response));
  }
  for (Actions::Sync& answer : actions.syncs) {
    auto node = syncs_.extract(answer.id);
    if (!node.empty()) node.mapped()->put(std::move(answer.response));
  }
  for (Actions::Write& write : actions.writes) {
    std::vector<Record> records;
    records.push_back(encode_group(entry->name, write.record));
    const uint64_t ticket = write.ticket;
    auto done = [this, entry, ticket, last](KafkaError append) {
      const KafkaError error = group_error(append);
      perform(entry, entry->core.persisted(ticket, error, now()));
      if (last) last->put(error);
    };
    journal_.write(std::move(records), std::move(done));
  }
  schedule(entry);
  drop_if_unused(entry);
}

void GroupCoordinator::drop_if_unused(const EntryPtr& entry) {
  if (!entry->core.unused() || entry->commits_flying > 0 || image_.find(entry->name)) return;
  if (find(entry->name) != entry) return;
  if (entry->wake_ms) wakes_.erase({*entry->wake_ms, entry->name});
  entry->wake_ms.reset();
  groups_.erase(entry->name);
}

void GroupCoordinator::schedule(const EntryPtr& entry) {
  if (closed_ || find(entry->name) != entry) return;
  const auto next = entry->core.next_wake_ms();
  if (next == entry->wake_ms) return;
  if (entry->wake_ms) wakes_.erase({*entry->wake_ms, entry->name});
  entry->wake_ms = next;
  if (next) wakes_.emplace(*next, entry->name);
  arm();
}

// A timer that is early finds nothing to wake and arms itself again: heartbeats move deadlines away
// all the time and need not touch it.
void GroupCoordinator::arm() {
  if (wakes_.empty()) return;
  const int64_t first = wakes_.begin()->first;
  if (timer_ && timer_ms_ <= first) return;
  if (timer_) shard_.cancel_timer(*timer_);
  timer_ms_ = first;
  timer_ = shard_.run_at(instant(first), [this] { on_timer(); });
}

void GroupCoordinator::on_timer() {
  timer_.reset();
  const Now at = now();
  while (!wakes_.empty() && wakes_.begin()->first <= at.ms) {
    EntryPtr entry = find(wakes_.begin()->second);
    wakes_.erase(wakes_.begin());
    CHECK(entry);
    entry->wake_ms.reset();
    perform(entry, entry->core.wake(at));
  }
  arm();
}

std::optional<DescribedGroup> GroupCoordinator::describe(const std::string& group) const {
  EntryPtr entry = find(group);
  if (!entry || entry->core.state() == State::dead) return std::nullopt;
  return entry->core.describe();
}

std::vector<Coordinator::Listed> GroupCoordinator::list() const {
  std::vector<Listed> listed;
  for (const auto& [name, entry] : groups_)
    if (entry->core.state() != State::dead)
      listed.push_back(
          {name, entry->core.protocol_type(), std::string(state_name(entry->core.state()))});
  return listed;
}

Task<void> GroupCoordinator::close() {
  closed_ = true;
  if (timer_) shard_.cancel_timer(*timer_);
  if (expiry_timer_) shard_.cancel_timer(*expiry_timer_);
  timer_.reset();
  expiry_timer_.reset();
  JoinResponse moved_join;
  moved_join.error = KafkaError::not_coordinator;
  SyncResponse moved_sync;
  moved_sync.error = KafkaError::not_coordinator;
  for (auto& [id, reply] : joins_) reply->put(moved_join);
  for (auto& [id, reply] : syncs_) reply->put(moved_sync);
  joins_.clear();
  syncs_.clear();
  co_await journal_.close();
  co_await gate_.wait_empty();
}

}  // namespace paceline::group
