#include "base/codec.h"
#include "base/log.h"
#include "partition/log.h"
#include "record/batch.h"
#include "record/validate.h"

// State: opening, snapshots, epochs, retention, watchers, closing.

namespace paceline::partition {
namespace {

constexpr uint8_t kSnapshotVersion = 1;

}  // namespace

void EpochHistory::begin(Epoch epoch, Offset start) {
  if (!starts_.empty() && epoch <= starts_.back().first) return;
  // An epoch in which nothing was written has no records of its own.
  while (!starts_.empty() && starts_.back().second >= start) starts_.pop_back();
  starts_.emplace_back(epoch, start);
}

EpochEnd EpochHistory::end_of(Epoch asked, Offset log_end) const {
  if (asked.value < 0 || starts_.empty() || asked > starts_.back().first) return {};
  if (asked == starts_.back().first) return {asked, log_end};
  auto higher = std::upper_bound(starts_.begin(), starts_.end(), asked,
                                 [](Epoch value, const auto& entry) { return value < entry.first; });
  if (higher == starts_.begin()) return {asked, higher->second};
  return {std::prev(higher)->first, higher->second};
}

Epoch EpochHistory::epoch_at(Offset offset) const {
  Epoch found{-1};
  for (const auto& [epoch, start] : starts_) {
    if (start <= offset) found = epoch;
  }
  return found;
}

std::vector<std::pair<Epoch, Offset>> EpochHistory::up_to(Offset end) const {
  std::vector<std::pair<Epoch, Offset>> kept;
  for (const auto& entry : starts_) {
    if (entry.second <= end) kept.push_back(entry);
  }
  return kept;
}

Log::Log(Options options)
    : options_(std::move(options)), settled_(*options_.shard), inside_(*options_.shard) {}

Task<Result<std::unique_ptr<Partition>>> Partition::open(Options options) {
  const std::string name = options.name;
  auto log = std::make_unique<Log>(std::move(options));
  auto restored = co_await log->restore();
  if (!restored) co_return fail(Code::corrupt, restored.error().message);
  co_return std::unique_ptr<Partition>(std::move(log));
}

Task<KafkaResult<void>> Log::restore() {
  auto offline = [](const Error& error) {
    return record::kafka_fail(KafkaError::kafka_storage_error, error.message);
  };
  auto opened = co_await options_.storage->open(*options_.shard, options_.stream, *this);
  if (!opened) co_return offline(opened.error());
  stream_ = opened->stream;
  stream::Recovered& recovered = opened->recovered;
  std::string_view attached;
  if (auto decoded = decode_snapshot(recovered.snapshot, attached); !decoded) co_return offline(decoded.error());
  if (options_.attached) options_.attached->restore(attached);
  for (const stream::Batch& batch : recovered.tail) {
    auto view = record::BatchView::parse(batch.bytes.bytes());
    if (!view) co_return offline(view.error());
    epochs_.begin(batch.epoch, batch.base);
    producers_.apply(record::facts_of(*view), batch.base, batch.append_time_ms);
    if (options_.attached) options_.attached->replay(batch);
  }
  next_ = stream_->end();
  producers_.durable_up_to(next_);
  epochs_.begin(options_.epoch, next_);
  co_return KafkaResult<void>{};
}

// Layout: version, epochs {epoch, start}, producer state, attached state; lengths as varints.
std::string Log::snapshot(Offset end) {
  Encoder out;
  out.put(kSnapshotVersion);
  const auto epochs = epochs_.up_to(end);
  out.varint(epochs.size());
  for (const auto& [epoch, start] : epochs) out.put(epoch).put(start);
  out.text(producers_.snapshot(end));
  out.text(options_.attached ? options_.attached->snapshot(end) : std::string());
  return out.take();
}

Result<void> Log::decode_snapshot(std::string_view bytes, std::string_view& attached) {
  if (bytes.empty()) return {};
  Decoder in(bytes);
  const auto version = in.get<uint8_t>();
  if (version != kSnapshotVersion)
    return fail(Code::unsupported, fmt::format("{}: snapshot version {} is newer than this program", options_.name, version));
  const size_t count = in.count(12);
  for (size_t index = 0; index < count; ++index) {
    const auto epoch = in.get<Epoch>();
    epochs_.begin(epoch, in.get<Offset>());
  }
  const std::string_view producers = in.text();
  attached = in.text();
  if (!in.done()) return fail(Code::corrupt, fmt::format("{}: the snapshot is damaged", options_.name));
#ifndef PACELINE_PLANT_forget_producer_state
  TRY(producers_, record::ProducerState::decode(as_bytes(producers)));
#endif
  return {};
}

Task<void> Log::tick(int64_t now_ms) {
  auto pass = inside_.enter();
  if (closed_ || lost_) co_return;
  const Config& config = options_.config;
  if (config.producer_id_expiration_ms > 0) producers_.expire(now_ms - config.producer_id_expiration_ms);
  if (!config.delete_old) co_return;
  stream::RetentionLimits limits;
  if (config.retention_ms >= 0) limits.older_than_ms = now_ms - config.retention_ms;
  if (config.retention_bytes >= 0) limits.bytes_max = static_cast<uint64_t>(config.retention_bytes);
  const Offset start = stream_->retention_start(limits);
  if (start <= stream_->start()) co_return;
  auto trimmed = co_await stream_->trim(start);
  if (!trimmed) {
    log_warn("{}: retention could not move the log start: {}", options_.name, trimmed.error().message);
    co_return;
  }
  notify();
}

std::vector<Partition::ProducerImage> Log::producers() const {
  std::vector<ProducerImage> images;
  for (const auto& producer : producers_.producers())
    images.push_back({producer.id.value, producer.epoch, producer.last_sequence, producer.last_append_ms});
  return images;
}

class Log::Watching final : public Partition::Subscription {
 public:
  explicit Watching(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~Watching() override { watcher_->alive = false; }

 private:
  std::shared_ptr<Watcher> watcher_;
};

std::unique_ptr<Partition::Subscription> Log::subscribe(std::function<void()> changed) {
  std::erase_if(watchers_, [](const auto& watcher) { return !watcher->alive; });
  auto watcher = std::make_shared<Watcher>();
  watcher->changed = std::move(changed);
  watchers_.push_back(watcher);
  return std::make_unique<Watching>(std::move(watcher));
}

void Log::notify() {
  std::erase_if(watchers_, [](const auto& watcher) { return !watcher->alive; });
  if (watchers_.empty()) return;
  options_.shard->post([watchers = watchers_] {
    for (const auto& watcher : watchers) {
      if (watcher->alive) watcher->changed();
    }
  });
}

Task<void> Log::close() {
  closed_ = true;
  settled_.notify_all();
  notify();
  co_await inside_.wait_empty();
  co_await options_.storage->close(*options_.shard, options_.stream);
}

}  // namespace paceline::partition
