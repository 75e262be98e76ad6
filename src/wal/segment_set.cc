#include "wal/segment_set.h"

#include <algorithm>
#include <utility>

namespace paceline::wal {

std::optional<SegmentSet::Place> SegmentSet::take(uint64_t bytes, Position position) {
  if (current_.file && bytes <= current_.bytes - current_.used)
    return Place{.file = current_.file,
                 .offset = std::exchange(current_.used, current_.used + bytes),
                 .new_segment = std::nullopt};
  if (preparing_ || !next_.file || kPageBytes + bytes > next_.bytes) return std::nullopt;
  if (current_.file) old_.push_back({.number = current_.number, .end = position});
  current_ = std::exchange(next_, Open{});
  current_.used = kPageBytes + bytes;
  prepare(0, nullptr);
  return Place{.file = current_.file, .offset = 0, .new_segment = current_.number};
}

void SegmentSet::prepare(uint64_t bytes, Done done) {
  if (done) done_ = std::move(done);
  if (preparing_) return;
  const uint64_t file_bytes = std::max(segment_bytes_, kPageBytes + bytes);
  if (next_.file && next_.bytes >= file_bytes) return;
  preparing_ = true;
  const uint64_t number = next_.file ? next_.number : next_number_++;
  next_ = Open{.number = number, .file = nullptr};
  using Outcome = Result<std::shared_ptr<env::File>>;
  auto outcome = std::make_shared<std::optional<Outcome>>();
  shard_.offload(
      0,
      [outcome, files = files_, number, file_bytes] {
        outcome->emplace(files.prepare_segment(number, file_bytes));
      },
      [self = shared_from_this(), outcome, file_bytes] {
        self->prepared(file_bytes, std::move(**outcome));
      });
}

void SegmentSet::prepared(uint64_t bytes, Result<std::shared_ptr<env::File>> file) {
  preparing_ = false;
  Result<void> result;
  if (file) {
    next_.file = std::move(*file);
    next_.bytes = bytes;
  } else {
    next_number_ = next_.number;  // the next attempt takes the same number
    next_ = Open{};
    result = fail(std::move(file).error());
  }
  if (done_) std::exchange(done_, nullptr)(std::move(result));
}

std::deque<uint64_t> SegmentSet::take_trimmed(Position up_to, Position durable_end) {
  std::deque<uint64_t> numbers;
  // While nothing is durable above an old segment, its last group marks the end of the lane.
  while (!old_.empty() && old_.front().end <= up_to && old_.front().end < durable_end) {
    numbers.push_back(old_.front().number);
    old_.pop_front();
  }
  return numbers;
}

void SegmentSet::untake(const std::deque<uint64_t>& numbers) {
  // Their ends are no longer known, but at or below any position trimmed later.
  for (size_t i = numbers.size(); i-- > 0;)
    old_.push_front({.number = numbers[i], .end = Position(0)});
}

}  // namespace paceline::wal
