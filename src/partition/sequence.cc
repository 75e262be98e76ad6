#include "partition/stream_partition.h"

namespace paceline::partition {

// Gives the batch its place. Nothing suspends between admission and the end of this: the order of
// the calls is the order of the offsets.
StreamPartition::Sequenced StreamPartition::sequence(const AppendRequest& request,
                                                     const record::BatchFacts& facts) {
  const Slice& records = request.records;
  const auto from = static_cast<size_t>(records.data() - records.buffer().data());
  const MutableBytes bytes = records.buffer().writable().subspan(from, records.size());
  const int64_t now_ms = shard_.wall_ms();
  Sequenced sequenced;
  stream::Batch& batch = sequenced.batch;
  batch.max_timestamp = facts.max_timestamp;
  if (options_.config.log_append_time && !request.internal) {
    record::set_log_append_time(bytes, now_ms);
    batch.max_timestamp = now_ms;
    sequenced.answer_time_ms = now_ms;
  } else if (facts.max_timestamp_wrong) {
    record::set_max_timestamp(bytes, facts.max_timestamp);
  }
  record::set_placement(bytes, next_, options_.epoch);
  batch.base = next_;
  batch.count = static_cast<uint32_t>(facts.last_offset_delta) + 1;
  batch.epoch = options_.epoch;
  batch.append_time_ms = now_ms;
  if (facts.has_producer()) batch.producer_id = static_cast<uint64_t>(facts.producer_id.value);
  batch.bytes = records;
  // Of a client's batch the checksum was verified; a coordinator's is not asked for.
  if (!request.internal) batch.crc = record::BatchView::parse(bytes)->whole_crc();
  producers_.apply(facts, next_, now_ms);
  last_append_ms_ = std::max(last_append_ms_, now_ms);
  next_ = batch.end();
  return sequenced;
}

}  // namespace paceline::partition
