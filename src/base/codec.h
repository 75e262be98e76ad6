#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/ids.h"

namespace paceline {

// Appends big-endian values to a growing string: the writer of every persisted format.
class Encoder {
 public:
  template <std::integral T>
  Encoder& put(T value) {
    const size_t at = out_.size();
    out_.resize(at + sizeof(T));
    store_be(reinterpret_cast<std::byte*>(out_.data()) + at, value);
    return *this;
  }
  template <class Tag, class Rep>
  Encoder& put(Strong<Tag, Rep> id) {
    return put(id.value);
  }
  Encoder& put(const Uuid& id) {
    return raw(Bytes(reinterpret_cast<const std::byte*>(id.bytes.data()), id.bytes.size()));
  }
  Encoder& put(const Lane& lane) { return put(lane.broker).put(lane.incarnation); }
  Encoder& put(const StreamId& id) { return put(id.owner).put(id.index); }
  Encoder& varint(uint64_t value);  // LEB128, 1 to 10 bytes
  Encoder& raw(Bytes bytes) {
    out_.append(as_text(bytes));
    return *this;
  }
  Encoder& text(std::string_view text) {  // varint length, then the bytes
    varint(text.size());
    out_.append(text);
    return *this;
  }

  size_t size() const { return out_.size(); }
  // Overwrites four bytes written before, e.g. a length or a checksum known only at the end.
  void patch_u32(size_t at, uint32_t value) {
    CHECK(at + 4 <= out_.size());
    store_be(reinterpret_cast<std::byte*>(out_.data()) + at, value);
  }
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }
  Bytes bytes() const { return as_bytes(out_); }

 private:
  std::string out_;
};

// Reads what an Encoder wrote, from bytes nobody trusts. A read past the end returns zero or empty
// and makes ok() false for good, so a caller decodes a whole structure and asks once. Nothing is
// allocated by a length that the remaining bytes do not cover.
class Decoder {
 public:
  explicit Decoder(Bytes bytes) : rest_(bytes) {}
  explicit Decoder(std::string_view text) : rest_(as_bytes(text)) {}

  template <std::integral T>
  T get() {
    if (rest_.size() < sizeof(T)) {
      invalidate();
      return T{};
    }
    T value = load_be<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  template <class Id>
    requires requires { typename Id::rep; }
  Id get() {
    return Id(get<typename Id::rep>());
  }
  Uuid uuid();
  Lane lane() {
    auto broker = get<BrokerId>();
    return Lane{broker, get<Incarnation>()};
  }
  StreamId stream_id() {
    auto owner = uuid();
    return StreamId{owner, get<uint32_t>()};
  }
  uint64_t varint();
  Bytes raw(size_t size);
  std::string_view text();  // a view into the input
  // The count of a list whose elements take at least `element_bytes_min` bytes each: 0 and not ok()
  // if the remaining bytes cannot hold that many.
  size_t count(size_t element_bytes_min);

  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }
  size_t remaining() const { return rest_.size(); }
  void invalidate() {
    ok_ = false;
    rest_ = {};
  }

 private:
  Bytes rest_;
  bool ok_ = true;
};

}  // namespace paceline
