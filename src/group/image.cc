#include "group/image.h"

#include "base/codec.h"

namespace paceline::group {
namespace {

// Snapshot: u8 version, varint count, then records: text key, text value, u8 flags (1: the metadata
// is null). Lives as long as the partition; numbers never change.
constexpr uint8_t kSnapshotVersion = 1;
constexpr uint8_t kNullMetadataFlag = 1;

void put_record(Encoder& out, const Record& record) {
  out.text(record.key).text(*record.value);
  out.put(static_cast<uint8_t>(record.null_metadata ? kNullMetadataFlag : 0));
}

}  // namespace

const Image::Group* Image::find(const std::string& group) const {
  auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

std::optional<Image::Change> Image::parse(const Record& record, Offset at) {
  std::optional<Key> key = decode_key(record.key);
  if (!key) return std::nullopt;
  Change change;
  change.at = at;
  if (auto* offset = std::get_if<OffsetKey>(&*key)) {
    change.group = std::move(offset->group);
    change.partition = std::move(offset->at);
    if (!record.value) return change;
    change.offset = decode_offset(*record.value, record.null_metadata);
    if (!change.offset) return std::nullopt;
    return change;
  }
  change.group = std::move(std::get<GroupKey>(*key).group);
  if (!record.value) return change;
  change.record = decode_group(*record.value);
  if (!change.record) return std::nullopt;
  return change;
}

void Image::exchange(Change& change) {
  Group& group = groups_[change.group];
  if (change.partition) {
    auto place = group.offsets.find(*change.partition);
    std::optional<OffsetValue> before;
    if (place != group.offsets.end()) before = std::move(place->second);
    if (change.offset)
      group.offsets.insert_or_assign(*change.partition, std::move(*change.offset));
    else if (place != group.offsets.end())
      group.offsets.erase(place);
    change.offset = std::move(before);
  } else {
    std::swap(group.record, change.record);
  }
  if (!group.record && group.offsets.empty()) groups_.erase(change.group);
}

void Image::apply(const Record& record, Offset at) {
  auto change = parse(record, at);
  if (!change) return;
  exchange(*change);
  undo_.push_back(std::move(*change));
}

std::string Image::snapshot(Offset end) {
  while (!undo_.empty() && undo_.front().at < end) undo_.pop_front();
  for (auto change = undo_.rbegin(); change != undo_.rend(); ++change) exchange(*change);
  std::string bytes = encode();
  for (Change& change : undo_) exchange(change);
  return bytes;
}

std::string Image::encode() const {
  size_t count = 0;
  for (const auto& [name, group] : groups_) count += group.offsets.size() + (group.record ? 1 : 0);
  Encoder out;
  out.put(kSnapshotVersion).varint(count);
  for (const auto& [name, group] : groups_) {
    if (group.record) put_record(out, encode_group(name, *group.record));
    for (const auto& [at, value] : group.offsets)
      put_record(out, encode_offset(OffsetKey{name, at}, value));
  }
  return out.take();
}

bool Image::restore(std::string_view snapshot) {
  groups_.clear();
  undo_.clear();
  if (snapshot.empty()) return true;
  Decoder in(snapshot);
  bool known = in.get<uint8_t>() == kSnapshotVersion;
  const size_t count = in.count(3);
  for (size_t i = 0; known && i < count; ++i) {
    Record record;
    record.key = in.text();
    record.value = in.text();
    record.null_metadata = in.get<uint8_t>() & kNullMetadataFlag;
    auto change = in.ok() ? parse(record, Offset(0)) : std::nullopt;
    known = change.has_value();
    if (known) exchange(*change);
  }
  if (known && in.done()) return true;
  groups_.clear();
  return false;
}

}  // namespace paceline::group
