#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "group/group.h"

// The records of __consumer_offsets, byte for byte Kafka's own, so that its tools read them.
// Written: OffsetCommitKey 1, OffsetCommitValue 3 (1 where an expiry is given), GroupMetadataKey 2,
// GroupMetadataValue 3. Read: every version up to 4 of the values. Big-endian, a version in front.

namespace paceline::group {

struct OffsetKey {
  std::string group;
  TopicPartition at;
  bool operator==(const OffsetKey&) const = default;
};
struct GroupKey {
  std::string group;
  bool operator==(const GroupKey&) const = default;
};
using Key = std::variant<OffsetKey, GroupKey>;

struct OffsetValue {
  Offset offset{-1};
  Epoch leader_epoch{-1};
  std::optional<std::string> metadata;
  int64_t commit_time_ms = 0;
  int64_t expire_at_ms = -1;
  bool operator==(const OffsetValue&) const = default;
};

struct MemberRecord {
  std::string member;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  int32_t rebalance_timeout_ms = 0;
  int32_t session_timeout_ms = 0;
  std::string subscription;  // the metadata under the chosen protocol
  std::string assignment;
  bool operator==(const MemberRecord&) const = default;
};
struct GroupRecord {
  std::string protocol_type;
  int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  int64_t state_since_ms = -1;  // wall time of the last change of state; -1 in old records
  std::vector<MemberRecord> members;
  bool operator==(const GroupRecord&) const = default;
};

// A record as it goes to the partition. Kafka's schema cannot tell a null metadata from an empty
// one; a record header (kNullMetadataHeader) does, which its readers pass over.
struct Record {
  std::string key;
  std::optional<std::string> value;  // nothing: a tombstone
  bool null_metadata = false;
};
inline constexpr std::string_view kNullMetadataHeader = "paceline.null-metadata";
inline constexpr size_t kStringBytesMax = 32'767;  // the lengths of strings are int16

// REQUIRES: no string above kStringBytesMax.
std::string encode_key(const OffsetKey& key);
std::string encode_key(const GroupKey& key);
Record encode_offset(const OffsetKey& key, const OffsetValue& value);
Record encode_group(const std::string& group, const GroupRecord& value);

// Nothing if the bytes are broken or of a kind or version we do not know.
std::optional<Key> decode_key(std::string_view bytes);
std::optional<OffsetValue> decode_offset(std::string_view bytes, bool null_metadata);
std::optional<GroupRecord> decode_group(std::string_view bytes);

}  // namespace paceline::group
