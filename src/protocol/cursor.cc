#include "protocol/cursor.h"

#include <cstring>

namespace paceline::protocol {

void Cursor::refuse(const char* why) {
  if (!why_) why_ = why;
  rest_ = {};
}

Bytes Cursor::take(int64_t size) {
  if (size <= 0) return rest_.first(0);
  const Bytes taken = rest_.first(static_cast<size_t>(size));
  rest_ = rest_.subspan(static_cast<size_t>(size));
  return taken;
}

void Cursor::read(Uuid& value) {
  if (rest_.size() < value.bytes.size()) return refuse("ends inside a uuid");
  std::memcpy(value.bytes.data(), rest_.data(), value.bytes.size());
  rest_ = rest_.subspan(value.bytes.size());
}

uint32_t Cursor::uvarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    const auto byte = num<uint8_t>();
    if (!ok()) return 0;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    if (value > UINT32_MAX) break;
    return static_cast<uint32_t>(value);
  }
  refuse("has a varint of more than 32 bits");
  return 0;
}

int64_t Cursor::length(int64_t size, bool nullable) {
  if (!ok()) return nullable ? -1 : 0;
  if (size == -1 && nullable) return -1;
  if (size < 0) {
    refuse(size == -1 ? "has a null where none may be" : "has a negative length");
    return 0;
  }
  return size;
}

int64_t Cursor::text_length(bool flex, bool nullable) {
  int64_t size = flex ? int64_t{uvarint()} - 1 : num<int16_t>();
  size = length(size, nullable);
  if (size > INT16_MAX) {
    refuse("has a string of more than 32767 bytes");
    return 0;
  }
  if (size > static_cast<int64_t>(rest_.size())) {
    refuse("ends inside a string");
    return 0;
  }
  return size;
}

int64_t Cursor::blob_length(bool flex, bool nullable) {
  int64_t size = flex ? int64_t{uvarint()} - 1 : num<int32_t>();
  size = length(size, nullable);
  if (size > static_cast<int64_t>(rest_.size())) {
    refuse("ends inside bytes");
    return 0;
  }
  return size;
}

int64_t Cursor::count(bool flex, size_t bytes_min, bool nullable) {
  int64_t size = flex ? int64_t{uvarint()} - 1 : num<int32_t>();
  size = length(size, nullable);
#ifdef PACELINE_PLANT_unbounded_array
  bytes_min = 0;
  if (size > 0 && bytes_min > 0) {
#else
  if (size > 0 && static_cast<uint64_t>(size) > rest_.size() / bytes_min) {
#endif
    refuse("counts more elements than its bytes can hold");
    return 0;
  }
  if (size > elements_left_) {
    refuse("has too many array elements");
    return 0;
  }
  if (size > 0) elements_left_ -= static_cast<uint32_t>(size);
  return size;
}

void Cursor::text(bool flex, std::string_view& value) {
  value = as_text(take(text_length(flex, false)));
}
void Cursor::text(bool flex, std::string& value) {
  value = as_text(take(text_length(flex, false)));
}
void Cursor::text(bool flex, std::optional<std::string_view>& value) {
  const int64_t size = text_length(flex, true);
  value.reset();
  if (size >= 0) value = as_text(take(size));
}
void Cursor::text(bool flex, std::optional<std::string>& value) {
  const int64_t size = text_length(flex, true);
  value.reset();
  if (size >= 0) value = std::string(as_text(take(size)));
}

void Cursor::blob(bool flex, Bytes& value) {
  value = take(blob_length(flex, false));
}
void Cursor::blob(bool flex, std::string& value) {
  value = as_text(take(blob_length(flex, false)));
}
void Cursor::blob(bool flex, std::optional<Bytes>& value) {
  const int64_t size = blob_length(flex, true);
  value.reset();
  if (size >= 0) value = take(size);
}
void Cursor::blob(bool flex, std::optional<std::string>& value) {
  const int64_t size = blob_length(flex, true);
  value.reset();
  if (size >= 0) value = std::string(as_text(take(size)));
}

void Cursor::records(bool flex, std::vector<Slice>& value) {
  const int64_t size = blob_length(flex, true);
  value.clear();
  if (size <= 0) return;
  const Bytes bytes = take(size);
  value.push_back(owner_ ? Slice(owner_, bytes) : Slice::copy_of(bytes));
}

bool Cursor::present() {
  const auto mark = num<int8_t>();
  return ok() && mark >= 0;
}

void Cursor::skip_tags() {
  Tags tags(*this);
  while (tags.next()) {
  }
}

Tags::Tags(Cursor& in) : in_(in), left_(in.uvarint()) {
  if (left_ > kTagsMax) in_.refuse("has more than 128 tagged fields in one struct");
}

Cursor* Tags::next() {
  if (!in_.ok() || left_ == 0) return nullptr;
  --left_;
  const int64_t tag = in_.uvarint();
  const uint32_t size = in_.uvarint();
  if (!in_.ok()) return nullptr;
  if (tag <= tag_) {
    in_.refuse("has tags that do not ascend");
    return nullptr;
  }
  if (size > in_.rest_.size()) {
    in_.refuse("ends inside a tagged field");
    return nullptr;
  }
  tag_ = tag;
  field_ = Cursor(in_.take(size));
  field_.owner_ = in_.owner_;
  field_.elements_left_ = in_.elements_left_;
  return &field_;
}

void Tags::close() {
  in_.elements_left_ = field_.elements_left_;
  if (field_.done()) return;
  in_.refuse(field_.ok() ? "has a tagged field with bytes left over" : field_.why());
}

}  // namespace paceline::protocol
