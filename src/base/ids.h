#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

#include "base/uuid.h"

namespace paceline {

// A number with a meaning: two kinds never mix by accident. Ordered, hashable, explicit.
template <class Tag, class Rep>
struct Strong {
  using rep = Rep;
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong operator+(Rep delta) const { return Strong(sum(value, delta)); }
  constexpr Strong operator-(Rep delta) const { return Strong(difference(value, delta)); }
  constexpr Rep operator-(Strong other) const { return difference(value, other.value); }
  constexpr Strong& operator+=(Rep delta) { return *this = *this + delta; }
  constexpr Strong& operator++() { return *this += 1; }

 private:
  // A number may be read from bytes that anybody wrote: out of range it wraps, which is defined.
  using Unsigned = std::make_unsigned_t<Rep>;
  static constexpr Rep sum(Rep a, Rep b) {
    return static_cast<Rep>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  }
  static constexpr Rep difference(Rep a, Rep b) {
    return static_cast<Rep>(static_cast<Unsigned>(a) - static_cast<Unsigned>(b));
  }
};

using Offset = Strong<struct OffsetTag, int64_t>;       // of a record in a stream, from 0
using Position = Strong<struct PositionTag, uint64_t>;  // in a lane's WAL; grows in ack order
using Epoch = Strong<struct EpochTag, int32_t>;         // leader epoch of a partition
using BrokerId = Strong<struct BrokerIdTag, int32_t>;
using Incarnation =
    Strong<struct IncarnationTag, uint64_t>;           // of a broker; from 1, +1 a registration
using Revision = Strong<struct RevisionTag, int64_t>;  // of the metadata store; from 1

// Everything that one incarnation of one broker writes. Written "3.7": broker 3, incarnation 7.
struct Lane {
  BrokerId broker;
  Incarnation incarnation;

  constexpr auto operator<=>(const Lane&) const = default;
  std::string to_string() const;
};

// One ordered range of offsets: the storage view of one partition. The id derives from the id of
// the topic, so a re-created topic shares nothing with its predecessor.
struct StreamId {
  Uuid owner;
  uint32_t index = 0;

  constexpr auto operator<=>(const StreamId&) const = default;
  std::string to_string() const;
};

}  // namespace paceline

template <class Tag, class Rep>
struct std::hash<paceline::Strong<Tag, Rep>> {
  size_t operator()(const paceline::Strong<Tag, Rep>& id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
template <>
struct std::hash<paceline::Lane> {
  size_t operator()(const paceline::Lane& lane) const noexcept {
    return std::hash<uint64_t>{}(lane.incarnation.value * 1000003 +
                                 static_cast<uint32_t>(lane.broker.value));
  }
};
template <>
struct std::hash<paceline::StreamId> {
  size_t operator()(const paceline::StreamId& id) const noexcept {
    return std::hash<paceline::Uuid>{}(id.owner) + 0x9e3779b97f4a7c15ull * (id.index + 1);
  }
};
