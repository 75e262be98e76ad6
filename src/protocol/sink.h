#pragma once

#include <concepts>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "protocol/output.h"

// The two things a generated `write` can be run on. Private to the generated sources: a message is
// first sized, which also finds what the version cannot carry, and then written.
namespace paceline::protocol {

constexpr size_t uvarint_bytes(uint64_t value) {
  size_t bytes = 1;
  while (value >>= 7) ++bytes;
  return bytes;
}

class Sizer {
 public:
  template <std::integral T>
  void num(T) {
    own_ += sizeof(T);
  }
  void uvarint(uint64_t value) { own_ += uvarint_bytes(value); }
  void raw(Bytes bytes) { own_ += bytes.size(); }
  void slice(const Slice& slice) { borrowed_ += slice.size(); }
  void refuse(const char* what) {
    if (!refused_) refused_ = what;
  }

  size_t own() const { return own_; }
  size_t size() const { return own_ + borrowed_; }
  const char* refused() const { return refused_; }

 private:
  size_t own_ = 0;
  size_t borrowed_ = 0;
  const char* refused_ = nullptr;
};

class Writer {
 public:
  explicit Writer(Output& out) : out_(out) {}
  template <std::integral T>
  void num(T value) {
    out_.put(value);
  }
  void uvarint(uint64_t value);
  void raw(Bytes bytes) { out_.append(bytes); }
  void slice(const Slice& slice) { out_.append(slice); }
  void refuse(const char*) { CHECK(false); }  // the sizer has refused it before

 private:
  Output& out_;
};

// Asks the sizer's verdict and makes room for the message. Fails with `unsupported` for a version
// outside [version_min, version_max] and for what the version cannot carry.
Result<void> begin_message(const char* name, int16_t version, int16_t version_min,
                           int16_t version_max, const Sizer& size, Output& out);
std::unexpected<Error> bad_version(const char* name, int16_t version);
std::unexpected<Error> bad_bytes(const char* name, int16_t version, const char* why);

template <class Sink>
void put_bool(Sink& out, bool value) {
  out.num(static_cast<int8_t>(value));
}
template <class Sink>
void put_uuid(Sink& out, const Uuid& id) {
  out.raw(Bytes(reinterpret_cast<const std::byte*>(id.bytes.data()), id.bytes.size()));
}

template <class Sink>
void put_text(Sink& out, bool flex, std::string_view text) {
  if (text.size() > INT16_MAX) out.refuse("a string of more than 32767 bytes");
  if (flex) {
    out.uvarint(text.size() + 1);
  } else {
    out.num(static_cast<int16_t>(text.size()));
  }
  out.raw(as_bytes(text));
}
template <class Sink>
void put_null_text(Sink& out, bool flex) {
  if (flex) {
    out.uvarint(0);
  } else {
    out.num(int16_t{-1});
  }
}

// Lengths of byte strings and counts of arrays.
template <class Sink>
void put_count(Sink& out, bool flex, size_t count) {
  if (count > INT32_MAX) out.refuse("a length of more than 31 bits");
  if (flex) {
    out.uvarint(count + 1);
  } else {
    out.num(static_cast<int32_t>(count));
  }
}
template <class Sink>
void put_null(Sink& out, bool flex) {
  if (flex) {
    out.uvarint(0);
  } else {
    out.num(int32_t{-1});
  }
}

template <class Sink>
void put_blob(Sink& out, bool flex, Bytes bytes) {
  put_count(out, flex, bytes.size());
  out.raw(bytes);
}
template <class Sink>
void put_blob(Sink& out, bool flex, std::string_view bytes) {
  put_blob(out, flex, as_bytes(bytes));
}
template <class Sink>
void put_records(Sink& out, bool flex, const std::vector<Slice>& slices) {
  size_t size = 0;
  for (const Slice& slice : slices) size += slice.size();
  put_count(out, flex, size);
  for (const Slice& slice : slices) out.slice(slice);
}

// Equality by content, also of views and slices.
inline bool same(Bytes a, Bytes b) {
  return as_text(a) == as_text(b);
}
inline bool same(const std::optional<Bytes>& a, const std::optional<Bytes>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}
inline bool same(const std::vector<Slice>& a, const std::vector<Slice>& b) {
  return join(a) == join(b);
}

}  // namespace paceline::protocol
