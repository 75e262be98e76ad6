#pragma once

#include <fmt/format.h>

#include <limits>
#include <type_traits>

#include "protocol/cursor.h"
#include "protocol/output.h"
#include "protocol/probe.h"

// The visitors that the generated probes run over a message. The generated each(visitor, v, x)
// calls visitor.field(name, may_be_null, value) for every field that version v has.
namespace paceline::protocol {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

// 130 bytes: more than one varint byte of length.
inline const std::string kSampleText(130, 'k');

class Filler {
 public:
  Filler(Fill fill, int16_t version) : fill_(fill), version_(version) {}

  template <class T>
  void field(const char*, bool may_be_null, T& value) {
    if constexpr (IsOptional<T>::value) {
      value.reset();
      if (fill_ == Fill::nulls && may_be_null) return;
      typename T::value_type inner{};
      put(inner);
      value = std::move(inner);
    } else {
      put(value);
    }
  }

 private:
  template <class T>
  void put(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = !value;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(std::numeric_limits<T>::max() - 1);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      value.bytes.fill(0xa5);
    } else if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
      value = kSampleText;
    } else if constexpr (std::is_same_v<T, Bytes>) {
      value = as_bytes(kSampleText);
    } else if constexpr (std::is_same_v<T, std::vector<Slice>>) {
      value = {Slice::copy_of(as_bytes(kSampleText)), Slice::copy_of(as_bytes("more"))};
    } else if constexpr (IsVector<T>::value) {
      value.clear();
      for (int at = 0; at < 2; ++at) put(value.emplace_back());
    } else {
      each(*this, version_, value);
    }
  }

  Fill fill_;
  int16_t version_;
};

class Printer {
 public:
  explicit Printer(int16_t version) : version_(version) {}

  template <class T>
  void field(const char* name, bool, T& value) {
    if (text_.back() != '{') text_ += ", ";
    text_ += fmt::format("\"{}\": ", name);
    print(value);
  }
  template <class Message>
  std::string print_all(Message& message) {
    print(message);
    return std::move(text_);
  }

 private:
  void quote(std::string_view bytes) {
    text_ += '"';
    for (const char c : bytes) {
      const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
      text_ += plain ? std::string(1, c) : fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    }
    text_ += '"';
  }

  template <class T>
  void print(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      text_ += value ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
      text_ += fmt::format("{}", value);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      quote(value.to_string());
    } else if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
      quote(value);
    } else if constexpr (std::is_same_v<T, Bytes>) {
      quote(as_text(value));
    } else if constexpr (std::is_same_v<T, std::vector<Slice>>) {
      quote(join(value));
    } else if constexpr (IsVector<T>::value) {
      text_ += '[';
      bool first = true;
      for (auto& one : value) {
        if (!std::exchange(first, false)) text_ += ", ";
        print(one);
      }
      text_ += ']';
    } else if constexpr (IsOptional<T>::value) {
      if (value) {
        print(*value);
      } else {
        text_ += "null";
      }
    } else {
      text_ += '{';
      each(*this, version_, value);
      text_ += '}';
    }
  }

  int16_t version_;
  std::string text_;
};

template <class Message>
Result<Sample> sample_of(int16_t version, Fill fill) {
  Message message;
  Filler filler(fill, version);
  if (fill != Fill::defaults) each(filler, version, message);
  Output out;
  TRY_VOID(message.encode(version, out));
  Sample sample;
  sample.bytes = join(out.take());
  sample.size = message.size(version);
  TRY(Message back, Message::decode(version, as_bytes(sample.bytes)));
  sample.equal = back == message;
  return sample;
}

template <class Message>
Result<Seen> look_at(int16_t version, Bytes bytes) {
  TRY(Message message, Message::decode(version, bytes));
  Seen seen;
  seen.text = Printer(version).print_all(message);
  Output out;
  TRY_VOID(message.encode(version, out));
  seen.bytes = join(out.take());
  TRY(Message back, Message::decode(version, as_bytes(seen.bytes)));
  seen.stable = back == message;
  return seen;
}

template <class Message>
Probe make_probe(Kind kind, int16_t api_key) {
  return {Message::kName,
          kind,
          api_key,
          Message::kVersionMin,
          Message::kVersionMax,
          Message::kFlexibleMin,
          sample_of<Message>,
          look_at<Message>};
}

}  // namespace paceline::protocol
