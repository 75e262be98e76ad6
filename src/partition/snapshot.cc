#include <fmt/format.h>

#include "base/codec.h"
#include "partition/stream_partition.h"

// Version 1: u8 version; i64 ms, the newest append time; the epoch history (varint count, then i32
// epoch and i64 start offset each); the producer state, and the attached state, each with a varint
// length before it. The directory that carries it has the checksum.

namespace paceline::partition {
namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

// An upload that failed is made again from the same end: so the floor of the producer state, below
// which no snapshot can be asked for, stays one snapshot behind.
std::string StreamPartition::snapshot(Offset end) {
  CHECK(stream_ || closing_);
  if (snapshot_end_ < end) {
    producers_.durable_up_to(snapshot_end_);
    snapshot_end_ = end;
  }
  Encoder encoder;
  encoder.put(kVersion).put(last_append_ms_);
  epochs_.encode(encoder, end);
#ifdef PACELINE_PLANT_snapshot_not_cut
  encoder.text(producers_.snapshot(next_));
#else
  encoder.text(producers_.snapshot(end));
#endif
  encoder.text(options_.attached ? options_.attached->snapshot(end) : std::string());
  return encoder.take();
}

Result<void> StreamPartition::restore_snapshot(std::string_view snapshot) {
  std::string_view attached;
  if (!snapshot.empty()) {
    Decoder decoder(snapshot);
    const auto version = decoder.get<uint8_t>();
    if (version > kVersion)
      return fail(Code::unsupported,
                  fmt::format("the snapshot of {} has version {}", options_.name, version));
    last_append_ms_ = decoder.get<int64_t>();
    epochs_ = EpochHistory::decode(decoder);
    const std::string_view producers = decoder.text();
    attached = decoder.text();
    if (!decoder.done() || version == 0)
      return fail(Code::corrupt, fmt::format("the snapshot of {} is damaged", options_.name));
    TRY(producers_, record::ProducerState::decode(as_bytes(producers)));
  }
  if (options_.attached) options_.attached->restore(attached);
  return {};
}

}  // namespace paceline::partition
