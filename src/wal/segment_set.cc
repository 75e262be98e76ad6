#include "wal/segment_set.h"

#include <algorithm>
#include <utility>

namespace paceline::wal {
namespace {

// One is about to be used while the other waits; what an idle lane keeps of the disk.
constexpr size_t kSparesMax = 2;
// Zeros at once: of hundreds of small commits one waits for them, a millisecond or two.
constexpr uint64_t kFillBytes = 2u << 20;
constexpr uint64_t kSmallCommitBytes = 128u << 10;

}  // namespace

std::optional<SegmentSet::Place> SegmentSet::take(uint64_t bytes, Position position) {
  if (current_.file && bytes <= current_.bytes - current_.used)
    return Place{.file = current_.file,
                 .offset = std::exchange(current_.used, current_.used + bytes),
                 .new_segment = std::nullopt};
  if (preparing_ || !next_.file || kPageBytes + bytes > next_.bytes) return std::nullopt;
  if (current_.file)
    old_.push_back({.number = current_.number, .end = position, .bytes = current_.bytes});
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
  std::optional<uint64_t> spare;
  if (!spares_.empty()) {
    spare = spares_.front();
    spares_.pop_front();
  }
  using Outcome = Result<LaneFiles::Prepared>;
  auto outcome = std::make_shared<std::optional<Outcome>>();
  shard_.offload(
      0,
      [outcome, files = files_, number, file_bytes, spare] {
        outcome->emplace(files.prepare_segment(number, file_bytes, spare));
      },
      [self = shared_from_this(), outcome, file_bytes] {
        self->prepared(file_bytes, std::move(**outcome));
      });
}

void SegmentSet::prepared(uint64_t bytes, Result<LaneFiles::Prepared> file) {
  preparing_ = false;
  Result<void> result;
  if (file) {
    next_.file = std::move(file->file);
    next_.bytes = bytes;
    next_.written = file->written ? bytes : 0;
  } else {
    next_number_ = next_.number;  // the next attempt takes the same number
    next_ = Open{};
    result = fail(std::move(file).error());
  }
  if (done_) std::exchange(done_, nullptr)(std::move(result));
}

std::optional<SegmentSet::Fill> SegmentSet::fill_ahead(uint64_t commit_bytes) {
  if (!current_.file || commit_bytes > kSmallCommitBytes) return std::nullopt;
  if (current_.written == current_.bytes) return std::nullopt;
  if (current_.written >= current_.used + kFillBytes / 2) return std::nullopt;
  const uint64_t from = std::max(current_.written, current_.used);
  current_.written = std::min(current_.bytes, from + kFillBytes);
  if (current_.written == from) return std::nullopt;
  return Fill{.file = current_.file, .offset = from, .bytes = current_.written - from};
}

std::deque<SegmentSet::Trimmed> SegmentSet::take_trimmed(Position up_to, Position durable_end) {
  std::deque<Trimmed> segments;
  size_t spares = spares_.size();
  // While nothing is durable above an old segment, its last group marks the end of the lane.
  while (!old_.empty() && old_.front().end <= up_to && old_.front().end < durable_end) {
    const bool spare = spares < kSparesMax && old_.front().bytes == segment_bytes_;
    if (spare) ++spares;
    segments.push_back({.number = old_.front().number, .spare = spare});
    old_.pop_front();
  }
  return segments;
}

void SegmentSet::trimmed(const std::deque<Trimmed>& done, const std::deque<Trimmed>& left) {
  for (const Trimmed& segment : done)
    if (segment.spare) spares_.push_back(segment.number);
  // Their ends are no longer known, but at or below any position trimmed later.
  for (size_t i = left.size(); i-- > 0;)
    old_.push_front({.number = left[i].number, .end = Position(0), .bytes = 0});
}

}  // namespace paceline::wal
