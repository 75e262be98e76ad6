#pragma once

#include <algorithm>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/endian.h"
#include "base/result.h"
#include "base/uuid.h"

namespace paceline::protocol {

// Reads Kafka's wire types from bytes nobody trusts. The first thing that does not hold makes ok()
// false for good and every later read returns zero or empty, so a message is decoded in one go and
// asked once. No length is believed before it was compared with the bytes that remain.
//
// `flex` selects the compact encoding of the flexible versions (unsigned varint of length + 1)
// instead of fixed-width lengths with -1 for null.
//
// Views (string_view, Bytes) point into the input and live as long as it does. A cursor over a
// Buffer hands out Slices that keep that buffer alive; without one, slices are copies.
class Cursor {
 public:
  Cursor(Bytes bytes) : rest_(bytes) {}  // NOLINT: a body is a cursor wherever one is asked for
  explicit Cursor(Slice slice) : rest_(slice.bytes()), owner_(slice.buffer()) {}

  template <std::integral T>
  T num() {
    if (rest_.size() < sizeof(T)) {
      refuse("ends inside a number");
      return T{};
    }
    const T value = load_be<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  template <std::integral T>
  void read(T& value) {
    value = num<T>();
  }
  void read(bool& value) { value = num<int8_t>() != 0; }
  void read(Uuid& value);

  uint32_t uvarint();  // at most 5 bytes and 32 bits

  // Strings. The forms without optional refuse null.
  void text(bool flex, std::string_view& value);
  void text(bool flex, std::string& value);
  void text(bool flex, std::optional<std::string_view>& value);
  void text(bool flex, std::optional<std::string>& value);

  // Byte strings.
  void blob(bool flex, Bytes& value);
  void blob(bool flex, std::string& value);
  void blob(bool flex, std::optional<Bytes>& value);
  void blob(bool flex, std::optional<std::string>& value);

  // Record sets: like byte strings, without a copy. Null reads as no slices.
  void records(bool flex, std::vector<Slice>& value);

  // Arrays. `bytes_min` is the least that one element takes; `one` reads an element.
  template <class T, class One>
  void list(bool flex, size_t bytes_min, std::vector<T>& value, One one) {
    fill(count(flex, bytes_min, false), value, one);
  }
  template <class T, class One>
  void list(bool flex, size_t bytes_min, std::optional<std::vector<T>>& value, One one) {
    const int64_t size = count(flex, bytes_min, true);
    if (size < 0) {
      value.reset();
    } else {
      fill(size, value.emplace(), one);
    }
  }

  // The prefix of a struct that may be null: true if the struct follows.
  bool present();
  void skip_tags();

  void refuse(const char* why);
  bool ok() const { return why_ == nullptr; }
  bool done() const { return ok() && rest_.empty(); }
  const char* why() const { return why_; }  // null while ok()
  size_t remaining() const { return rest_.size(); }
  // All arrays together may count so many elements; without it, as many as their bytes hold.
  void limit_elements(uint32_t elements_max) { elements_left_ = elements_max; }

 private:
  friend class Tags;
  // -1 is null, which only `nullable` lets through.
  int64_t count(bool flex, size_t bytes_min, bool nullable);
  int64_t text_length(bool flex, bool nullable);
  int64_t blob_length(bool flex, bool nullable);
  int64_t length(int64_t size, bool nullable);
  Bytes take(int64_t size);

  template <class T, class One>
  void fill(int64_t size, std::vector<T>& value, One& one) {
    // Elements are bigger in memory than on the wire, so growth follows what was really read.
    value.reserve(static_cast<size_t>(std::min<int64_t>(size, 1024)));
    for (int64_t at = 0; at < size && ok(); ++at) one(value.emplace_back());
  }

  Bytes rest_;
  const char* why_ = nullptr;
  uint32_t elements_left_ = UINT32_MAX;
  Buffer owner_;
};

// The tag buffer that ends every struct of a flexible version. Tags ascend strictly; a message
// with more than kTagsMax of them in one struct is refused.
//   for (Tags tags(in); Cursor* field = tags.next();)
//     switch (tags.tag()) { case 0: ...read from *field...; tags.close(); }
// A tag that is not closed is unknown and was skipped.
class Tags {
 public:
  static constexpr uint32_t kTagsMax = 128;

  explicit Tags(Cursor& in);
  Cursor* next();
  uint32_t tag() const { return static_cast<uint32_t>(tag_); }
  void close();  // the field must have been read to its end

 private:
  Cursor& in_;
  Cursor field_{Bytes{}};
  uint32_t left_;
  int64_t tag_ = -1;
};

}  // namespace paceline::protocol
