#include <fmt/format.h>

#include "base/log.h"
#include "partition/stream_partition.h"

namespace paceline::partition {

StreamPartition::StreamPartition(Options options)
    : options_(std::move(options)),
      shard_(*options_.shard),
      settled_(shard_),
      calls_(shard_),
      turns_(shard_),
      subscribers_(shard_) {}

Task<Result<std::unique_ptr<Partition>>> Partition::open(Options options) {
  stream::Storage& storage = *options.storage;
  env::Shard& shard = *options.shard;
  const StreamId id = options.stream;
  const std::optional<Lane> from = options.from;
  auto made = std::make_unique<StreamPartition>(std::move(options));
  CO_TRY(auto opened, co_await storage.open(shard, id, *made, from));
  auto restored = made->restore(std::move(opened));
  if (!restored) {
    co_await storage.close(shard, id);
    co_return fail(std::move(restored).error());
  }
  co_return std::unique_ptr<Partition>(std::move(made));
}

Result<void> StreamPartition::restore(stream::Storage::Opened opened) {
  stream_ = opened.stream;
  snapshot_end_ = opened.recovered.snapshot_end;
  TRY_VOID(restore_snapshot(opened.recovered.snapshot));
  for (const stream::Batch& batch : opened.recovered.tail) {
    TRY(auto view, record::BatchView::parse(batch.bytes.bytes()));
    epochs_.begin(batch.epoch, batch.base);
    if (view.codec_known())
      producers_.apply(record::facts_of(view), batch.base, batch.append_time_ms);
    last_append_ms_ = std::max(last_append_ms_, batch.append_time_ms);
    if (options_.attached) options_.attached->replay(batch);
  }
#ifdef PACELINE_PLANT_takeover_forgets_producers
  if (options_.from) producers_ = record::ProducerState();
#endif
#ifdef PACELINE_PLANT_forget_producer_state
  producers_ = record::ProducerState();
#endif
  if (epochs_.last() > options_.epoch)
    return fail(Code::fenced, fmt::format("{} has records of epoch {}, above our {}", options_.name,
                                          epochs_.last().value, options_.epoch.value));
  epochs_.begin(options_.epoch, stream_->end());
  epochs_.prune(stream_->start());
  next_ = stream_->end();
  return {};
}

Task<void> StreamPartition::close() {
  if (closing_) {
    co_await calls_.wait_empty();
    co_return;
  }
  closing_ = true;
  resume();
  subscribers_.notify();
  co_await calls_.wait_empty();
  closed_start_ = stream_->start();
  closed_end_ = stream_->end();
  stream_ = nullptr;
  co_await options_.storage->close(shard_, options_.stream);
}

std::unique_ptr<Partition::Subscription> StreamPartition::subscribe(std::function<void()> changed) {
  return subscribers_.add(std::move(changed));
}

std::vector<Partition::ProducerImage> StreamPartition::producers() const {
  std::vector<ProducerImage> images;
  for (const auto& producer : producers_.producers())
    images.push_back(
        {producer.id.value, producer.epoch, producer.last_sequence, producer.last_append_ms});
  return images;
}

}  // namespace paceline::partition
