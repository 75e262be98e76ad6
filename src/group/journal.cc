#include "group/journal.h"

#include "base/log.h"
#include "record/records.h"

namespace paceline::group {
namespace {

// Far below any sensible max.message.bytes, and enough for thousands of commits.
constexpr size_t kBatchBytesAim = 256 * 1024;

size_t bytes_of(const std::vector<Record>& records) {
  size_t bytes = 0;
  for (const Record& record : records)
    bytes += record.key.size() + (record.value ? record.value->size() : 0) + 64;
  return bytes;
}

Result<std::string> batch_of(const std::vector<Record>& records, int64_t wall_ms) {
  record::BatchBuilder builder;
  builder.timestamp(wall_ms);
  const std::vector<record::Header> null_metadata{{kNullMetadataHeader, std::string_view()}};
  for (const Record& record : records) {
    std::optional<std::string_view> value;
    if (record.value) value = *record.value;
    if (record.null_metadata)
      builder.add(record.key, value, null_metadata);
    else
      builder.add(record.key, value);
  }
  return builder.build();
}

}  // namespace

void Journal::write(std::vector<Record> records, Done done) {
  if (closed_ || !partition_) return done(KafkaError::not_coordinator);
  waiting_.push_back({std::move(records), std::move(done)});
  if (running_) return;
  running_ = true;
  shard_.spawn(run());
}

Task<void> Journal::run() {
  auto pass = gate_.enter();
  while (!waiting_.empty()) {
    std::vector<Entry> entries = take();
    co_await append(std::move(entries));
  }
  running_ = false;
}

std::vector<Journal::Entry> Journal::take() {
  std::vector<Entry> entries;
  size_t bytes = 0;
  while (!waiting_.empty()) {
    bytes += bytes_of(waiting_.front().records);
    if (!entries.empty() && bytes > kBatchBytesAim) break;
    entries.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return entries;
}

Task<void> Journal::append(std::vector<Entry> entries) {
  std::vector<Record> records;
  for (const Entry& entry : entries)
    records.insert(records.end(), entry.records.begin(), entry.records.end());
  KafkaError outcome = KafkaError::none;
  if (!records.empty()) {
    auto batch = batch_of(records, shard_.wall_ms());
    CHECK(batch);  // uncompressed: nothing can fail
    partition::AppendRequest request;
    request.records = Slice::copy_of(as_bytes(*batch));
    request.internal = true;
    flying_ = std::move(records);
    flying_applied_ = 0;
    flying_base_ = partition_->high_watermark();
#ifdef PACELINE_PLANT_commit_told_early
    for (Entry& entry : entries) entry.done(KafkaError::none);
    entries.clear();
#endif
    auto appended = co_await partition_->append(std::move(request));
    if (appended) {
      // Somebody else's record came between: what was applied by a guess is applied in its place.
      if (appended->base != flying_base_) flying_applied_ = 0;
      flying_base_ = appended->base;
      apply_until(flying_base_ + static_cast<int64_t>(flying_.size()));
    } else {
      outcome = appended.error().code;
    }
    flying_.clear();
  }
  const bool too_large =
      outcome == KafkaError::message_too_large || outcome == KafkaError::record_list_too_large;
  if (too_large && entries.size() > 1) {
    // Only the one that is too large by itself deserves that answer.
    for (Entry& entry : entries) {
      std::vector<Entry> single;
      single.push_back(std::move(entry));
      co_await append(std::move(single));
    }
    co_return;
  }
  if (outcome != KafkaError::none)
    log_warn("group: append failed: {}", record::kafka_error_name(outcome));
  for (Entry& entry : entries) entry.done(entry.records.empty() ? KafkaError::none : outcome);
}

void Journal::settle(Offset end) {
  apply_until(end);
}

void Journal::apply_until(Offset end) {
  while (flying_applied_ < flying_.size()) {
    const Offset at = flying_base_ + static_cast<int64_t>(flying_applied_);
    if (at >= end) return;
    image_.apply(flying_[flying_applied_], at);
    ++flying_applied_;
  }
}

void Journal::refuse_waiting() {
  while (!waiting_.empty()) {
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    entry.done(KafkaError::not_coordinator);
  }
}

Task<void> Journal::close() {
  closed_ = true;
  refuse_waiting();
  co_await gate_.wait_empty();
}

}  // namespace paceline::group
