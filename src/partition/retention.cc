#include <fmt/format.h>

#include "base/log.h"
#include "partition/stream_partition.h"

namespace paceline::partition {

Task<Result<void>> StreamPartition::trim(Offset new_start) {
  ++trims_;
  auto trimmed = co_await stream_->trim(new_start);
  --trims_;
  settled_.notify_all();
  if (!trimmed) co_return fail(std::move(trimmed).error());
  epochs_.prune(stream_->start());
  subscribers_.notify();
  co_return Result<void>{};
}

// Whether we lead it still. Before an answer that makes a client give up: a leader that was fenced
// and does not know it knows less than its clients.
Task<KafkaResult<void>> StreamPartition::confirm() {
#ifdef PACELINE_PLANT_old_knowledge_refuses
  co_return KafkaResult<void>{};
#endif
  co_await wait_resumed();
  CO_TRY_VOID(check_open(Epoch{-1}));
  ++trims_;
  auto confirmed = co_await stream_->confirm();
  --trims_;
  settled_.notify_all();
  if (!confirmed) co_return fail(told(confirmed.error()));
  co_return KafkaResult<void>{};
}

Task<KafkaResult<Offset>> StreamPartition::delete_records(Offset before) {
  auto pass = calls_.enter();
  co_await wait_resumed();
  CO_TRY_VOID(check_open(Epoch{-1}));
  const Offset target = before.value == -1 ? stream_->end() : before;
  if (target.value < 0 || target > stream_->end())
    co_return record::kafka_fail(
        KafkaError::offset_out_of_range,
        fmt::format("{} ends at {}, below {}", options_.name, stream_->end().value, target.value));
  if (target > stream_->start()) {
    auto trimmed = co_await trim(target);
    if (!trimmed) co_return fail(told(trimmed.error()));
  }
  co_return stream_->start();
}

Task<void> StreamPartition::tick(int64_t now_ms) {
  if (closing_ || paused_ || moved_) co_return;
  auto pass = calls_.enter();
  const Config& config = options_.config;
  producers_.expire(last_append_ms_ - config.producer_id_expiration_ms);
  if (!config.delete_old || lost_) co_return;
  stream::RetentionLimits limits;
  if (config.retention_ms >= 0) limits.older_than_ms = now_ms - config.retention_ms;
  if (config.retention_bytes >= 0) limits.bytes_max = static_cast<uint64_t>(config.retention_bytes);
  if (!limits.older_than_ms && !limits.bytes_max) co_return;
  const Offset start = stream_->retention_start(limits);
  if (start <= stream_->start()) co_return;
  auto trimmed = co_await trim(start);
  if (!trimmed)
    log_warn("{} keeps what retention would drop: {}", options_.name, trimmed.error().to_string());
}

}  // namespace paceline::partition
