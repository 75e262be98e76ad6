#include <fmt/format.h>

#include <algorithm>

#include "wal/lane_scan.h"

// What the scan does where a group is not whole that was durable once.

namespace paceline::wal {
namespace {

constexpr size_t kSearchBytes = 256u << 10;  // read at once

}  // namespace

Result<std::string> LaneScan::proof_of_damage() {
  for (size_t i = current_; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (i > current_ && segment.header)
      return fmt::format("{} starts at {}", files_.segment_path(segment.number),
                         segment.header->first_position.value);
    uint64_t offset = i == current_ ? offset_ : kPageBytes;
    for (;;) {
      TRY(const auto found, find_later(segment, offset));
      if (!found) break;
      if (found->header.durable_before > position_)
        return fmt::format("group {} at byte {} of {} was written after it", found->header.sequence,
                           found->offset, files_.segment_path(segment.number));
      offset = found->offset + kPageBytes;
    }
  }
  return std::string();
}

Result<std::optional<LaneScan::Found>> LaneScan::find_later(const Segment& segment,
                                                            uint64_t from_offset) {
  for (uint64_t offset = from_offset; offset + kPageBytes <= segment.bytes;) {
    TRY(const auto data, segment.file->next_data(offset));
    if (!data) break;  // only reserved space follows
    offset = *data / kPageBytes * kPageBytes;
    TRY(const Bytes window, bytes_at(segment, offset, kSearchBytes));
    if (window.size() < kPageBytes) break;
    for (size_t at = 0; at + kPageBytes <= window.size(); at += kPageBytes) {
      const auto header = decode_group_header(window.subspan(at));
      // What a payload imitates must get all of it right, its place included. What a file held in
      // a former life had lower sequences.
      const bool placed =
          !segment.header || segment.assumed || !header ||
          header->position == segment.header->first_position + (offset + at - kPageBytes);
      if (header && placed && header->lane == files_.owner.lane && header->sequence > sequence_ &&
          header->position > position_ && header->position >= header->durable_before)
        return Found{.offset = offset + at, .header = *header};
    }
    offset += window.size() / kPageBytes * kPageBytes;
  }
  return std::optional<Found>();
}

Result<std::optional<Group>> LaneScan::pass_damage(const std::string& proof) {
  const Segment& segment = segments_[current_];
  std::string why = describe_damage(proof);
  const std::string path = files_.segment_path(segment.number);
  TRY(const bool there, files_.disk->exists(path));
  if (!there) return fail(Code::not_found, fmt::format("{} was trimmed", path));
  const Position from = position_;
  TRY(auto group, next_whole_group());
  if (!group && !end_) return fail(Code::corrupt, std::move(why));
  note_gap(from, std::move(why));
  if (group) {
    gap_->to = last_.position;
    return told(std::move(*group));
  }
  gap_->to = position_ = *end_;
  return last_word();
}

std::string LaneScan::describe_damage(const std::string& proof) const {
  return fmt::format("group {} at byte {} of {} (position {}) is damaged: {}", sequence_, offset_,
                     files_.segment_path(segments_[current_].number), position_.value, proof);
}

Result<std::optional<Group>> LaneScan::next_whole_group() {
  const size_t lost_in = current_;
  const uint64_t lost_at = offset_;
  const Position position = position_;
  const uint64_t sequence = sequence_;
  for (size_t i = lost_in; i < segments_.size(); ++i) {
    uint64_t offset = i == lost_in ? lost_at + kPageBytes : kPageBytes;
    for (;;) {
      TRY(const auto found, find_later(segments_[i], offset));
      if (!found) break;
      current_ = i;
      offset_ = found->offset;
      position_ = found->header.position;
      sequence_ = found->header.sequence;
      TRY(auto group, read_group());
      if (group) return group;
      offset = found->offset + kPageBytes;
      current_ = lost_in;
      offset_ = lost_at;
      position_ = position;
      sequence_ = sequence;
    }
  }
  return std::optional<Group>();
}

// Damage to two commits in a row takes the marks of the first along.
void LaneScan::note_gap(Position from, std::string why) {
  if (gap_)
    gap_->known = false;
  else
    gap_ = Damage{.from = from, .to = from, .why = std::move(why), .streams = {}};
}

Group LaneScan::told(Group group) {
  if (header_ && (end_ || last_.durable_before > header_->from)) {
    if (header_->from >= needed_) group.before.push_back(std::move(*header_));
    header_.reset();
  }
  // The first group of the first commit behind the damage: all of the damaged one has been read.
  if (gap_ && last_.position == last_.durable_before && last_.position >= gap_->to) {
    const bool marked = last_marks_ && last_marks_->from <= std::max(gap_->from, needed_);
    gap_->known = gap_->known && marked;
    if (gap_->known) gap_->streams = std::move(last_marks_->streams);
    if (gap_->to > needed_) group.before.push_back(std::move(*gap_));
    gap_.reset();
  }
  return group;
}

std::optional<Group> LaneScan::last_word() {
  header_.reset();
  if (!gap_) return std::nullopt;
  Group group{.entries = {}, .end = position_, .before = {}};
  const bool marked = end_marks_ && end_marks_->from <= std::max(gap_->from, needed_);
  gap_->known = gap_->known && marked;
  if (gap_->known) gap_->streams = std::move(end_marks_->streams);
  if (gap_->to > needed_) group.before.push_back(std::move(*gap_));
  gap_.reset();
  return group.before.empty() ? std::nullopt : std::optional(std::move(group));
}

}  // namespace paceline::wal
