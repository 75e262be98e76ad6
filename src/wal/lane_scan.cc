#include "wal/lane_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "env/block_pool.h"

namespace paceline::wal {
namespace {

constexpr size_t kWindowBytes = 1u << 20;

}  // namespace

Result<void> LaneScan::open(std::optional<Position> from, std::optional<Position> end) {
#ifndef PACELINE_PLANT_replay_past_end
  end_ = end;
#endif
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
    if (first.number == 1) return enter_segment(start);  // created, never (wholly) written
    return fail(Code::corrupt,
                fmt::format("{}: the header is damaged", files_.segment_path(first.number)));
  }
  if (from && first.header->first_position > *from)
    return fail(Code::out_of_range, fmt::format("{} starts at {}, {} was trimmed", files_.folder,
                                                first.header->first_position.value, from->value));
  position_ = first.header->first_position;
  sequence_ = first.header->first_sequence;
  return enter_segment(start);
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
  env::OpenMode mode{.direct = true};
  Segment segment;
  segment.number = number;
  TRY(segment.file, files_.disk->open(files_.segment_path(number), mode));
  TRY(segment.bytes, segment.file->size());
  TRY(const Bytes page, bytes_at(segment, 0, kPageBytes));
  segment.header = decode_segment_header(page);
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
  const Segment& segment = segments_[index];
  if (segment.header &&
      (segment.header->first_position != position_ || segment.header->first_sequence != sequence_))
    return fail(
        Code::corrupt,
        fmt::format("{} starts at {}, group {}, instead of {}, group {}",
                    files_.segment_path(segment.number), segment.header->first_position.value,
                    segment.header->first_sequence, position_.value, sequence_));
  current_ = index;
  offset_ = kPageBytes;
  return {};
}

Result<std::optional<Group>> LaneScan::next() {
  for (;;) {
    if (end_ && position_ >= *end_) return std::nullopt;
    if (current_ >= segments_.size()) {
      if (end_)
        return fail(Code::corrupt, fmt::format("{} ends at {}, before its end {}", files_.folder,
                                               position_.value, end_->value));
      return std::nullopt;
    }
    // Without a header nothing in the segment was ever acknowledged, unless something proves more.
    if (segments_[current_].header) {
      TRY(auto group, read_group());
#ifdef PACELINE_PLANT_replay_stops_short
    if (group && end_ && position_ == *end_) return std::optional<Group>();
#endif
      if (group) return group;
    }
    const bool has_next = current_ + 1 < segments_.size();
    if (has_next && segments_[current_ + 1].header &&
        segments_[current_ + 1].header->first_position == position_) {
      TRY_VOID(enter_segment(current_ + 1));
      continue;
    }
    if (end_) return damaged(fmt::format("the lane ends at {}", end_->value));
    TRY(const std::string proof, proof_of_damage());
    if (proof.empty()) return std::nullopt;
    // Its writer may live, and have finished this group and begun another since it was read.
    window_file_ = nullptr;
    if (!segments_[current_].header) {
      TRY(segments_[current_], open_segment(segments_[current_].number));
      window_file_ = nullptr;
    }
    if (segments_[current_].header) {
      TRY(auto group, read_group());
      if (group) return group;
    }
    return damaged(proof);
  }
}

Result<std::optional<Group>> LaneScan::read_group() {
  const Segment& segment = segments_[current_];
  TRY(const Bytes page, bytes_at(segment, offset_, kPageBytes));
  const auto header = decode_group_header(page);
  if (!header || header->lane != files_.owner.lane || header->sequence != sequence_ ||
      header->position != position_ || header->durable_before > position_)
    return std::nullopt;
  const uint64_t bytes = header->padded_bytes();
  if (bytes > segment.bytes - offset_) return std::nullopt;
  if (end_ && header->end() > *end_) return std::nullopt;

  TRY(const Bytes ready, bytes_at(segment, offset_, std::min<uint64_t>(bytes, kWindowBytes)));
  const Buffer block = env::allocate_pages(bytes, false);
  std::memcpy(block.data(), ready.data(), ready.size());
  if (ready.size() < bytes) {
    TRY(const size_t count,
        segment.file->read_at(offset_ + ready.size(), block.writable().subspan(ready.size())));
    if (ready.size() + count < bytes) return std::nullopt;
  }
  auto entries =
      decode_body(*header, block, block.bytes().subspan(kGroupHeaderBytes, header->body_bytes));
  if (!entries) return std::nullopt;
  std::erase_if(unproven_,
                [&](const Placed& one) { return one.position < header->durable_before; });
  unproven_.push_back({current_, offset_, position_, Slice(block, block.bytes().first(bytes))});
  offset_ += bytes;
  position_ = header->end();
  ++sequence_;
  return Group{.entries = std::move(*entries), .end = position_};
}

Result<std::string> LaneScan::proof_of_damage() {
  TRY(std::string proof, later_group(segments_[current_], offset_));
  for (size_t i = current_ + 1; proof.empty() && i < segments_.size(); ++i) {
    const Segment& later = segments_[i];
    if (later.header)
      return fmt::format("{} starts at {}", files_.segment_path(later.number),
                         later.header->first_position.value);
    TRY(proof, later_group(segments_[i], kPageBytes));
  }
  return proof;
}

Result<std::string> LaneScan::later_group(Segment& segment, uint64_t from_offset) {
  for (uint64_t offset = from_offset; offset + kPageBytes <= segment.bytes;) {
    TRY(const auto data, segment.file->next_data(offset));
    if (!data) break;  // only reserved space follows
    offset = *data / kPageBytes * kPageBytes;
    TRY(const Bytes window, bytes_at(segment, offset, kWindowBytes));
    if (window.size() < kPageBytes) break;
    for (size_t at = 0; at + kPageBytes <= window.size(); at += kPageBytes) {
      const auto header = decode_group_header(window.subspan(at));
      // The sequence cannot be lower either; what a payload imitates must get all of it right.
      // What a file held in a former life had lower ones.
      if (header && header->lane == files_.owner.lane && header->durable_before > position_ &&
          header->position >= header->durable_before && header->sequence > sequence_)
        return fmt::format("group {} at byte {} of {} was written after it", header->sequence,
                           offset + at, files_.segment_path(segment.number));
    }
    offset += window.size() / kPageBytes * kPageBytes;
  }
  return std::string();
}

Result<Bytes> LaneScan::bytes_at(const Segment& segment, uint64_t offset, size_t bytes) {
  if (window_file_ != segment.file.get() || offset < window_start_ ||
      offset + bytes > window_start_ + window_bytes_) {
    if (!window_) window_ = env::allocate_pages(kWindowBytes, false);
    window_file_ = nullptr;
    TRY(window_bytes_, segment.file->read_at(offset, window_.writable()));
    window_file_ = segment.file.get();
    window_start_ = offset;
  }
  const size_t skip = offset - window_start_;
  return window_.bytes().subspan(skip, std::min(bytes, window_bytes_ - skip));
}

Result<void> LaneScan::settle() {
  for (const Placed& group : unproven_) {
    const Segment& segment = segments_[group.segment];
    env::OpenMode mode{.writable = true, .direct = true};
    TRY(const auto file, files_.disk->open(files_.segment_path(segment.number), mode));
    // The first group of a segment was written together with the header before it.
    if (group.offset == kPageBytes) {
      TRY(const Bytes header, bytes_at(segment, 0, kPageBytes));
      TRY_VOID(file->write_at(0, header));
    }
    TRY_VOID(file->write_at(group.offset, group.bytes.bytes()));
  }
  for (size_t i = 0; i <= current_ && i < segments_.size(); ++i)
    TRY_VOID(segments_[i].file->sync());
  return {};
}

std::unexpected<Error> LaneScan::damaged(const std::string& why) const {
  const Segment& segment = segments_[current_];
  return refuse(segment,
                fmt::format("group {} at byte {} of {} (position {}) is damaged: {}", sequence_,
                            offset_, files_.segment_path(segment.number), position_.value, why));
}

std::unexpected<Error> LaneScan::refuse(const Segment& segment, std::string why) const {
  const std::string path = files_.segment_path(segment.number);
  const auto there = files_.disk->exists(path);
  if (there && !*there) return fail(Code::not_found, fmt::format("{} was trimmed", path));
  return fail(Code::corrupt, std::move(why));
}

}  // namespace paceline::wal
