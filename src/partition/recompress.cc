#include "record/recompress.h"

#include <fmt/format.h>

#include "partition/stream_partition.h"

// compression.type: packing a batch anew before it gets its place.

namespace paceline::partition {
namespace {

// Records up to this many bytes are packed in place, in 2 to 260 us (gzip); more would stall the
// shard, and goes to threads that may block.
constexpr size_t kInPlaceBytesMax = size_t{16} << 10;
// There packing holds at most half of their number (8), so that the disk is never kept waiting.
constexpr uint64_t kLanes = 4;
constexpr uint64_t kFirstLane = 0x7265636f6d700000;  // a range of our own

// One for all batches of a partition: what is packed is next to leave, so that a few compressed
// bytes that open to many cannot pile up behind one another.
uint64_t lane_of(const StreamId& stream) {
  return kFirstLane + (stream.owner.bytes[0] + stream.index) % kLanes;
}

std::unexpected<AppendFailure> refuse_packing(const Error& error) {
  const KafkaError code = error.code == Code::too_large ? KafkaError::message_too_large
                          : error.code == Code::corrupt ? KafkaError::corrupt_message
                                                        : KafkaError::unknown_server_error;
  return refuse(code, error.message);
}

Result<Buffer> pack(const Slice& records, const record::RecompressOptions& options) {
  TRY(const record::BatchView batch, record::BatchView::parse(records.bytes()));
  return record::recompress(batch, options);
}

}  // namespace

bool StreamPartition::needs_packing(const AppendRequest& request,
                                    const record::BatchFacts& facts) const {
  const auto& codec = options_.config.codec;
  return codec && *codec != facts.codec && !request.internal;
}

// Batches leave in the order of calling; one that needs nothing waits behind those that do.
Task<std::expected<Turns::Turn, AppendFailure>> StreamPartition::repack(AppendRequest& request,
                                                                        Judged& judged) {
  Turns::Turn turn = turns_.take();
  const uint64_t failures = failures_;
  const bool was_recovering = recovering_;
  if (judged.opens_to_much) judged.facts = co_await judge_elsewhere(request);
  if (!judged.facts) {
    co_await turns_.wait(turn);  // a turn that ends early would let others pass
    co_return std::unexpected(std::move(judged.facts.error()));
  }
  record::BatchFacts& facts = *judged.facts;
  Result<Buffer> packed{Buffer()};
  const bool needed = needs_packing(request, facts);
  if (needed) {
    record::RecompressOptions options;
    options.codec = *options_.config.codec;
    options.level = options_.config.codec_level;
    options.bytes_max = options_.config.max_message_bytes;
    facts.codec = options.codec;
    if (facts.opened_bytes <= kInPlaceBytesMax) {
      packed = pack(request.records, options);
    } else {
      auto work = [records = request.records, options] { return pack(records, options); };
      const auto view = record::BatchView::parse(request.records.bytes());
      const bool in_one = view && record::opens_in_one_piece(view->codec(), view->payload());
      const uint64_t lane = in_one ? kOnePieceLane : lane_of(options_.stream);
      packed = co_await env::offload(shard_, std::move(work), lane);
    }
  }
  co_await turns_.wait(turn);
  if (!packed) co_return refuse_packing(packed.error());
  if (needed) request.records = Slice(*std::move(packed));
  facts.bytes = request.records.size();
  // It may have waited: the partition may have closed since, or failed a batch that came before
  // this one, which then must not overtake that batch's retry.
  if (auto writable = check_writable(request.expected_epoch); !writable)
    co_return std::unexpected(std::move(writable.error()));
  if (was_recovering || failures != failures_) co_return refuse_for_now(facts);
  co_return std::move(turn);
}

}  // namespace paceline::partition
