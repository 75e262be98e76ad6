#include "wal/lane_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "env/block_pool.h"

namespace paceline::wal {
namespace {

// Read at once, twice as much each time: a tail is long or short, what is read beyond its end is
// read in vain, and on a machine that is busy each wait for a disk is one for a processor, too.
constexpr size_t kWindowBytesMax = 2u << 20;
// Several reads fill a block.
constexpr size_t kBlockBytes = 4u << 20;

}  // namespace

Result<void> LaneScan::open(std::optional<Position> from, const std::optional<LaneEnd>& decided) {
  std::optional<Position> end;
  if (decided) {
    end = decided->end;
    end_marks_ = decode_marks(as_bytes(decided->marks));
  }
#ifndef PACELINE_PLANT_replay_past_end
  end_ = end;
#endif
  needed_ = from.value_or(Position(0));
  if (from && end && *from >= *end) {
    position_ = *end;
    return {};
  }
  TRY_VOID(open_segments());
  size_t start = 0;
  for (size_t i = 0; from && i < segments_.size(); ++i)
    if (segments_[i].header && segments_[i].header->first_position <= *from) start = i;
  if (segments_.empty()) {
    if (end && *end > Position(0))
      return fail(Code::out_of_range, fmt::format("{} was removed", files_.folder));
    return {};
  }
  const Segment& first = segments_[start];
  if (!first.header) {
    // Number 1 was created, and perhaps never (wholly) written.
    if (first.number != 1) TRY_VOID(start_at_first_group(first));
  } else {
    position_ = first.header->first_position;
    sequence_ = first.header->first_sequence;
  }
  if (from && position_ > *from)
    return fail(Code::out_of_range, fmt::format("{} starts at {}, {} was trimmed", files_.folder,
                                                position_.value, from->value));
  const bool certain = first.header.has_value();
  TRY_VOID(enter_segment(start));
  if (certain && from && *from > position_) return pass_to(*from);
  return {};
}

Result<void> LaneScan::pass_to(Position from) {
  const Segment& segment = segments_[current_];
  const Position position = position_;
  const uint64_t sequence = sequence_;
  const uint64_t offset = kPageBytes + (from - position);
  if (offset % kPageBytes != 0) return {};
  TRY(const Bytes page, bytes_at(segment, offset, kPageBytes));
  const auto header = decode_group_header(page);
  if (header && header->lane == files_.owner.lane && header->position == from &&
      header->sequence > sequence && header->durable_before <= from) {
    position_ = from;
    offset_ = offset;
    sequence_ = header->sequence;
    return {};
  }
  position_ = from;
  offset_ = offset;
  TRY(const bool nothing, nothing_at(from));
  if (nothing && !end_) {
    current_ = segments_.size();  // the lane ends here
    return {};
  }
  position_ = position;
  offset_ = kPageBytes;
  return {};
}

// No group starts there, in this segment or the next one, and none behind it was ever written. What
// files held in former lives is older than this segment, whose first sequence is the least.
Result<bool> LaneScan::nothing_at(Position from) {
  if (current_ + 1 < segments_.size()) {
    const Segment& next = segments_[current_ + 1];
    if (next.header) return false;
    TRY(const auto header, first_group(next));
    if (header && header->lane == files_.owner.lane && header->position == from) return false;
  }
  for (size_t i = current_; i < segments_.size(); ++i) {
    TRY(const auto later, find_later(segments_[i], i == current_ ? offset_ : kPageBytes));
    if (later) return false;
  }
  return true;
}

Result<void> LaneScan::start_at_first_group(const Segment& segment) {
  TRY(const auto header, first_group(segment));
  if (!header || header->lane != files_.owner.lane)
    return fail(Code::corrupt,
                fmt::format("{}: the header is damaged", files_.segment_path(segment.number)));
  position_ = header->position;
  sequence_ = header->sequence;
  return {};
}

Result<void> LaneScan::open_segments() {
  TRY(const auto numbers, files_.segments());
  for (const uint64_t number : numbers) {
    // Trimming deletes the lowest first, durably, one by one: a gap is never its work. Above the
    // end there may be one: a writer that does not know of the seal prepares segments, a sealer
    // removes them. A lane that does not reach its end is told later.
    const bool gap = !segments_.empty() && number != segments_.back().number + 1;
    if (gap && end_) break;
    if (gap)
      return fail(Code::corrupt,
                  fmt::format("{} is missing", files_.segment_path(segments_.back().number + 1)));
    TRY(Segment segment, open_segment(number));
    segments_.push_back(std::move(segment));
  }
  return {};
}

Result<LaneScan::Segment> LaneScan::open_segment(uint64_t number) {
  // Direct: what a failed sync left in the page cache must not count as written.
  env::OpenMode mode{.direct = true, .urgent = true};
  Segment segment;
  segment.number = number;
  TRY(segment.file, files_.disk->open(files_.segment_path(number), mode));
  TRY(segment.bytes, segment.file->size());
  const Buffer page = env::allocate_pages(kPageBytes, false);
  TRY(const size_t count, segment.file->read_at(0, page.writable()));
  segment.header = decode_segment_header(page.bytes().first(count));
  if (!segment.header) return segment;
  if (segment.header->owner != files_.owner)
    return refuse(segment,
                  fmt::format("{} belongs to lane {} of cluster {}", files_.segment_path(number),
                              segment.header->owner.lane.to_string(),
                              segment.header->owner.cluster_id.to_string()));
  if (segment.header->number > number)
    return refuse(segment, fmt::format("{} is segment {}", files_.segment_path(number),
                                       segment.header->number));
  // The header of its former life: it was made of a trimmed segment and not yet written.
  if (segment.header->number < number) segment.header.reset();
  return segment;
}

Result<void> LaneScan::enter_segment(size_t index) {
  Segment& segment = segments_[index];
  if (segment.header &&
      (segment.header->first_position != position_ || segment.header->first_sequence != sequence_))
    return fail(
        Code::corrupt,
        fmt::format("{} starts at {}, group {}, instead of {}, group {}",
                    files_.segment_path(segment.number), segment.header->first_position.value,
                    segment.header->first_sequence, position_.value, sequence_));
  if (!segment.header) {
    segment.header = SegmentHeader{.owner = files_.owner,
                                   .number = segment.number,
                                   .first_position = position_,
                                   .first_sequence = sequence_};
    segment.assumed = true;
    const std::string path = files_.segment_path(segment.number);
    header_ = Damage{.from = position_,
                     .to = position_,
                     .why = fmt::format("the header of {} is damaged; nothing is lost", path),
                     .streams = {}};
  }
  current_ = index;
  offset_ = kPageBytes;
  return {};
}

Result<bool> LaneScan::enter_next() {
  if (current_ + 1 >= segments_.size()) return false;
  const Segment& next = segments_[current_ + 1];
  if (next.header) {
    if (next.header->first_position != position_) return false;
  } else {
    // Its first group proves by itself that the lane goes on here.
    TRY(const auto header, first_group(next));
    if (!header || !follows(*header)) return false;
  }
  TRY_VOID(enter_segment(current_ + 1));
  return true;
}

Result<std::optional<Group>> LaneScan::next() {
  for (;;) {
    if (end_ && position_ >= *end_) return last_word();
    if (current_ >= segments_.size()) {
      if (end_)
        return fail(Code::corrupt, fmt::format("{} ends at {}, before its end {}", files_.folder,
                                               position_.value, end_->value));
      return last_word();
    }
    TRY(auto group, read_group());
#ifdef PACELINE_PLANT_replay_stops_short
    if (group && end_ && position_ == *end_) return std::optional<Group>();
#endif
    if (group) return told(std::move(*group));
    TRY(const bool entered, enter_next());
    if (entered) continue;
    if (end_) return pass_damage(fmt::format("the lane ends at {}", end_->value));
    TRY(const std::string proof, proof_of_damage());
    if (proof.empty()) return last_word();
    // Its writer may live, and have finished this group and begun another since it was read.
    window_file_ = nullptr;
    TRY(group, read_group());
    if (group) return told(std::move(*group));
    TRY(const bool entered_now, enter_next());
    if (!entered_now) return pass_damage(proof);
  }
}

bool LaneScan::follows(const GroupHeader& header) const {
  return header.lane == files_.owner.lane && header.sequence == sequence_ &&
         header.position == position_ && header.durable_before <= position_;
}

Result<std::optional<Group>> LaneScan::read_group() {
  const Segment& segment = segments_[current_];
  TRY(const Bytes page, bytes_at(segment, offset_, kPageBytes));
  const auto header = decode_group_header(page);
  if (!header || !follows(*header)) return std::nullopt;
  const uint64_t bytes = header->padded_bytes();
  if (bytes > segment.bytes - offset_) return std::nullopt;
  if (end_ && header->end() > *end_) return std::nullopt;

  TRY(const Bytes whole, bytes_at(segment, offset_, bytes));
  if (whole.size() < bytes) return std::nullopt;
  auto entries =
      decode_body(*header, window_, whole.subspan(kGroupHeaderBytes, header->body_bytes));
  if (!entries) return std::nullopt;
  std::optional<Marks> marks;
  if (!entries->empty() && entries->front().header.kind == EntryKind::marks) {
    marks = decode_marks(entries->front().payload.bytes());
    if (!marks) return std::nullopt;
    entries->erase(entries->begin());
  }
  if (header->durable_before != commit_start_) commit_.clear();
  commit_start_ = header->durable_before;
  for (const Entry& entry : *entries) commit_.add(entry.header);
  read_any_ = true;
  last_ = *header;
  last_marks_ = std::move(marks);
  std::erase_if(unproven_,
                [&](const Placed& one) { return one.position < header->durable_before; });
  unproven_.push_back({current_, offset_, position_, Slice(window_, whole)});
  offset_ += bytes;
  position_ = header->end();
  ++sequence_;
  return Group{.entries = std::move(*entries), .end = position_, .before = {}};
}

Result<std::optional<GroupHeader>> LaneScan::first_group(const Segment& segment) const {
  const Buffer page = env::allocate_pages(kPageBytes, false);
  TRY(const size_t count, segment.file->read_at(kPageBytes, page.writable()));
  return decode_group_header(page.bytes().first(count));
}

Result<Bytes> LaneScan::bytes_at(const Segment& segment, uint64_t offset, size_t bytes) {
  const bool within = window_file_ == segment.file.get() && offset >= window_start_ &&
                      offset <= window_start_ + window_bytes_;
  const size_t there = within ? window_start_ + window_bytes_ - offset : 0;
  if (there < bytes) {
    // Direct reads begin at a page. What a file ends with in the midst of one is read again.
    window_bytes_ = window_bytes_ / kPageBytes * kPageBytes;
    if (!within || offset - window_start_ + bytes > window_.size())
      move_window(offset, there / kPageBytes * kPageBytes, bytes);
    window_file_ = nullptr;
    const size_t room = window_.size() - window_bytes_;
    const size_t missing = offset - window_start_ + bytes - window_bytes_;
    const MutableBytes into =
        window_.writable().subspan(window_bytes_, std::min(room, std::max(ahead_bytes_, missing)));
    TRY(const size_t count, segment.file->read_at(window_start_ + window_bytes_, into));
    window_file_ = segment.file.get();
    window_bytes_ += count;
    ahead_bytes_ = std::min(2 * ahead_bytes_, kWindowBytesMax);
  }
  const size_t skip = offset - window_start_;
  return window_.bytes().subspan(skip, std::min(bytes, window_bytes_ - skip));
}

// Groups keep the old block alive; of what of it is wanted still, `kept` bytes, there is a copy.
void LaneScan::move_window(uint64_t offset, size_t kept, size_t bytes) {
  const size_t block = ahead_bytes_ < kBlockBytes / 4 ? ahead_bytes_ : kBlockBytes;
  Buffer next = env::allocate_roomy(std::max(kept + block, bytes));
  if (kept > 0) std::memcpy(next.data(), window_.data() + (offset - window_start_), kept);
  window_ = std::move(next);
  window_start_ = offset;
  window_bytes_ = kept;
}

Result<void> LaneScan::settle() {
  for (const Placed& group : unproven_) {
    const Segment& segment = segments_[group.segment];
    env::OpenMode mode{.writable = true, .direct = true};
    TRY(const auto file, files_.disk->open(files_.segment_path(segment.number), mode));
    // The first group of a segment was written together with the header before it.
    if (group.offset == kPageBytes && segment.header) {
      const Buffer page = env::allocate_pages(kPageBytes, false);
      encode_segment_header(*segment.header, page.writable());
      TRY_VOID(file->write_at(0, page.bytes()));
    }
    TRY_VOID(file->write_at(group.offset, group.bytes.bytes()));
  }
  for (size_t i = 0; i <= current_ && i < segments_.size(); ++i)
    TRY_VOID(segments_[i].file->sync());
  return {};
}

std::unexpected<Error> LaneScan::refuse(const Segment& segment, std::string why) const {
  const std::string path = files_.segment_path(segment.number);
  const auto there = files_.disk->exists(path);
  if (there && !*there) return fail(Code::not_found, fmt::format("{} was trimmed", path));
  return fail(Code::corrupt, std::move(why));
}

}  // namespace paceline::wal
