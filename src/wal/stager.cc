#include "wal/stager.h"

#include <algorithm>
#include <utility>

#include "base/crc32c.h"

namespace paceline::wal {

Slice Stager::add(const EntryHeader& header, Bytes payload, std::optional<uint32_t> payload_crc) {
  CHECK(payload.size() <= kPayloadBytesMax);
  const uint64_t entry_bytes = kEntryHeaderBytes + payload.size();
  if (kGroupHeaderBytes + entry_bytes > block_bytes_) {
    // A block of its own; the current one keeps its free end for the entries after it.
    if (open_) close_group();
    StagedGroup huge{.block = take_block_(round_to_page(kGroupHeaderBytes + entry_bytes))};
    Slice written = append_entry(huge, header, payload, payload_crc);
    std::swap(group_, huge);
    close_group();
    return written;
  }
  if (open_ && used_ + kGroupHeaderBytes + group_.body_bytes + entry_bytes > block_.size())
    close_group();
  if (!open_) {
    if (!block_ || used_ + kGroupHeaderBytes + entry_bytes > block_.size()) {
      block_ = take_block_(block_bytes_);
      used_ = 0;
    }
    group_ = StagedGroup{.block = block_, .start = used_};
    open_ = true;
  }
  return append_entry(group_, header, payload, payload_crc);
}

Slice Stager::append_entry(StagedGroup& group, const EntryHeader& header, Bytes payload,
                           std::optional<uint32_t> payload_crc) {
  const size_t at = group.start + kGroupHeaderBytes + group.body_bytes;
  const MutableBytes entry = group.block.writable().subspan(at, kEntryHeaderBytes + payload.size());
  encode_entry_header(header, static_cast<uint32_t>(payload.size()), entry);
  if (!payload.empty())
    std::memcpy(entry.data() + kEntryHeaderBytes, payload.data(), payload.size());
  if (payload_crc) {
    group.body_crc = crc32c(entry.first(kEntryHeaderBytes), group.body_crc);
    group.body_crc = crc32c_combine(group.body_crc, *payload_crc, payload.size());
  } else {
    group.body_crc = crc32c(entry, group.body_crc);
  }
  group.body_bytes += static_cast<uint32_t>(entry.size());
  ++group.entry_count;
  return Slice(group.block, entry.subspan(kEntryHeaderBytes));
}

void Stager::close_group() {
  const MutableBytes padding = group_.padded().subspan(kGroupHeaderBytes + group_.body_bytes);
  std::ranges::fill(padding, std::byte{0});
  closed_bytes_ += group_.padded_bytes();
  if (group_.block.same_block(block_)) used_ = group_.start + group_.padded_bytes();
  groups_.push_back(std::exchange(group_, StagedGroup{}));
  open_ = false;
}

std::vector<StagedGroup> Stager::take_groups() {
  if (open_) close_group();
  closed_bytes_ = 0;
  return std::exchange(groups_, {});
}

}  // namespace paceline::wal
