#include "group/offsets_format.h"

#include "base/codec.h"

namespace paceline::group {
namespace {

constexpr int16_t kOffsetKeyVersion = 1;
constexpr int16_t kGroupKeyVersion = 2;
constexpr int16_t kOffsetValueVersion = 3;
constexpr int16_t kOffsetValueVersionExpiring = 1;  // the only one with an expiry
constexpr int16_t kGroupValueVersion = 3;
constexpr int16_t kValueVersionFlexible = 4;

void put_string(Encoder& out, std::string_view text) {
  CHECK(text.size() <= kStringBytesMax);
  out.put(static_cast<int16_t>(text.size())).raw(as_bytes(text));
}
void put_nullable(Encoder& out, const std::optional<std::string>& text) {
  if (text) return put_string(out, *text);
  out.put(int16_t{-1});
}
void put_bytes(Encoder& out, std::string_view bytes) {
  out.put(static_cast<int32_t>(bytes.size())).raw(as_bytes(bytes));
}

// Reads fields of a value in its version: from 4 on lengths are varints plus one, and every
// structure ends with tagged fields.
class Fields {
 public:
  Fields(Decoder& in, bool flexible) : in_(in), flexible_(flexible) {}

  std::optional<std::string> nullable() {
    if (flexible_) {
      const uint64_t size = in_.varint();
      if (size == 0) return std::nullopt;
      return to_string(in_.raw(size - 1));
    }
    const auto size = in_.get<int16_t>();
    if (size < 0) return std::nullopt;
    return to_string(in_.raw(static_cast<size_t>(size)));
  }
  std::string string() {
    auto text = nullable();
    if (!text) in_.invalidate();
    return std::move(text).value_or(std::string());
  }
  std::string bytes() {
    if (flexible_) return string();
    const auto size = in_.get<int32_t>();
    if (size < 0) in_.invalidate();
    return size < 0 ? std::string() : to_string(in_.raw(static_cast<size_t>(size)));
  }
  size_t count(size_t element_bytes_min) {
    const uint64_t count =
        flexible_ ? in_.varint() : static_cast<uint32_t>(in_.get<int32_t>()) + 1ull;
    if (count == 0 || count - 1 > in_.remaining() / element_bytes_min) {
      in_.invalidate();
      return 0;
    }
    return count - 1;
  }
  void tags() {
    if (!flexible_) return;
    for (uint64_t left = in_.varint(); left > 0 && in_.ok(); --left) {
      in_.varint();
      in_.raw(in_.varint());
    }
  }

 private:
  Decoder& in_;
  bool flexible_;
};

MemberRecord read_member(Decoder& in, Fields& fields, int16_t version) {
  MemberRecord member;
  member.member = fields.string();
  if (version >= 3) member.instance = fields.nullable();
  member.client_id = fields.string();
  member.client_host = fields.string();
  if (version >= 1) member.rebalance_timeout_ms = in.get<int32_t>();
  member.session_timeout_ms = in.get<int32_t>();
  if (version < 1) member.rebalance_timeout_ms = member.session_timeout_ms;
  member.subscription = fields.bytes();
  member.assignment = fields.bytes();
  fields.tags();
  return member;
}

}  // namespace

std::string encode_key(const OffsetKey& key) {
  Encoder out;
  out.put(kOffsetKeyVersion);
  put_string(out, key.group);
  put_string(out, key.at.topic);
  out.put(key.at.partition);
  return out.take();
}

std::string encode_key(const GroupKey& key) {
  Encoder out;
  out.put(kGroupKeyVersion);
  put_string(out, key.group);
  return out.take();
}

Record encode_offset(const OffsetKey& key, const OffsetValue& value) {
  const bool expires = value.expire_at_ms >= 0;
  Encoder out;
  out.put(expires ? kOffsetValueVersionExpiring : kOffsetValueVersion).put(value.offset);
  if (!expires) out.put(value.leader_epoch);
  put_string(out, value.metadata ? std::string_view(*value.metadata) : std::string_view());
  out.put(value.commit_time_ms);
  if (expires) out.put(value.expire_at_ms);
  return {encode_key(key), out.take(), !value.metadata};
}

Record encode_group(const std::string& group, const GroupRecord& value) {
  Encoder out;
  out.put(kGroupValueVersion);
  put_string(out, value.protocol_type);
  out.put(value.generation);
  put_nullable(out, value.protocol);
  put_nullable(out, value.leader);
  out.put(value.state_since_ms).put(static_cast<int32_t>(value.members.size()));
  for (const MemberRecord& member : value.members) {
    put_string(out, member.member);
    put_nullable(out, member.instance);
    put_string(out, member.client_id);
    put_string(out, member.client_host);
    out.put(member.rebalance_timeout_ms).put(member.session_timeout_ms);
    put_bytes(out, member.subscription);
    put_bytes(out, member.assignment);
  }
  return {encode_key(GroupKey{group}), out.take()};
}

std::optional<Key> decode_key(std::string_view bytes) {
  Decoder in(bytes);
  Fields fields(in, false);
  const auto version = in.get<int16_t>();
  std::optional<Key> key;
  if (version == 0 || version == kOffsetKeyVersion) {
    OffsetKey offset;
    offset.group = fields.string();
    offset.at.topic = fields.string();
    offset.at.partition = in.get<int32_t>();
    key = std::move(offset);
  } else if (version == kGroupKeyVersion) {
    key = GroupKey{fields.string()};
  }
  if (!in.done()) return std::nullopt;
  return key;
}

std::optional<OffsetValue> decode_offset(std::string_view bytes, bool null_metadata) {
  Decoder in(bytes);
  const auto version = in.get<int16_t>();
  if (version < 0 || version > kValueVersionFlexible) return std::nullopt;
  Fields fields(in, version >= kValueVersionFlexible);
  OffsetValue value;
  value.offset = in.get<Offset>();
  if (version >= 3) value.leader_epoch = in.get<Epoch>();
  value.metadata = fields.string();
  value.commit_time_ms = in.get<int64_t>();
  if (version == 1) value.expire_at_ms = in.get<int64_t>();
  fields.tags();
  if (!in.done()) return std::nullopt;
  if (null_metadata && value.metadata->empty()) value.metadata.reset();
  return value;
}

std::optional<GroupRecord> decode_group(std::string_view bytes) {
  Decoder in(bytes);
  const auto version = in.get<int16_t>();
  if (version < 0 || version > kValueVersionFlexible) return std::nullopt;
  Fields fields(in, version >= kValueVersionFlexible);
  GroupRecord value;
  value.protocol_type = fields.string();
  value.generation = in.get<int32_t>();
  value.protocol = fields.nullable();
  value.leader = fields.nullable();
  if (version >= 2) value.state_since_ms = in.get<int64_t>();
  constexpr size_t kMemberBytesMin = 9;
  const size_t count = fields.count(kMemberBytesMin);
  for (size_t i = 0; i < count && in.ok(); ++i)
    value.members.push_back(read_member(in, fields, version));
  fields.tags();
  if (!in.done()) return std::nullopt;
  // What a flexible version may hold and ours cannot be written again.
  auto too_long = [](const std::string& text) { return text.size() > kStringBytesMax; };
  bool writable = !too_long(value.protocol_type) && !too_long(value.protocol.value_or("")) &&
                  !too_long(value.leader.value_or(""));
  for (const MemberRecord& member : value.members)
    writable = writable && !too_long(member.member) && !too_long(member.instance.value_or("")) &&
               !too_long(member.client_id) && !too_long(member.client_host);
  if (!writable) return std::nullopt;
  return value;
}

}  // namespace paceline::group
