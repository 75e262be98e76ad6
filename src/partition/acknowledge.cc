#include "partition/stream_partition.h"

namespace paceline::partition {

// The batch is durable, and so is everything before it.
Appended StreamPartition::acknowledge(const Sequenced& sequenced) {
  settled_.notify_all();
  subscribers_.notify();
  Appended appended;
  appended.base = sequenced.batch.base;
  appended.log_append_time_ms = sequenced.answer_time_ms;
  appended.log_start = stream_->start();
  return appended;
}

Task<AppendResult> StreamPartition::append(AppendRequest request) {
  auto pass = calls_.enter();
  if (moved_) co_return co_await refuse_moved();
  Judged judged = admit(request);
  Facts& facts = judged.facts;
  if (!facts && !judged.opens_to_much) co_return std::unexpected(std::move(facts.error()));
  if (facts && recovering_) co_return refuse_for_now(*facts);
  Turns::Turn turn;
  if (!facts || turns_.any() || needs_packing(request, *facts)) {
    auto packed = co_await repack(request, judged);
    if (!packed) co_return std::unexpected(std::move(packed.error()));
    turn = *std::move(packed);
  }
  if (auto deferred = check_producer(*facts)) {
    turn.end();
    co_return co_await tell(std::move(*deferred));
  }
  Sequenced sequenced = sequence(request, *facts);
  turn.end();
  auto persisted = co_await persist(sequenced.batch);
  if (!persisted) co_return std::unexpected(std::move(persisted.error()));
  co_return acknowledge(sequenced);
}

}  // namespace paceline::partition
