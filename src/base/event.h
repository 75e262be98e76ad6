#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"

// What happened, as data: docs/format/events.md. Whoever does something says so in an event; who
// keeps it, where and for whom is decided elsewhere.

namespace paceline {

// Where they end up: internal, one partition, all that is not routine of the whole cluster.
inline constexpr std::string_view kEventsTopic = "__paceline_events";

struct Event {
  enum class Plane : uint8_t { control, storage, data };
  // The unit is in the name: bytes, requests, took_us, end_offset.
  struct Figure {
    std::string_view name;  // a literal
    std::variant<int64_t, bool, std::string> value;
  };

  Event(Plane of, std::string_view what) : plane(of), type(what) {}

  // What joins the events of one failover (the dead lane, "1.7") or of one move over all brokers.
  Event&& caused_by(std::string_view id) && {
    cause = id;
    return std::move(*this);
  }
  Event&& about(Lane which) && {
    lane = which;
    return std::move(*this);
  }
  Event&& about(std::string_view topic_name, uint32_t index) && {
    topic = topic_name;
    partition = static_cast<int32_t>(index);
    return std::move(*this);
  }
  Event&& in_epoch(Epoch which) && {
    epoch = which;
    return std::move(*this);
  }
  Event&& up_to(Offset end) && {
    offset = end;
    return std::move(*this);
  }
  // When it happened, where that was earlier than now: monotonic, as Shard::now() tells it.
  template <class Instant>
  Event&& at(Instant when) && {
    at_ns = when.since_start.count();
    return std::move(*this);
  }
  // How long it took, or lasted; this is what metrics count of it.
  template <class Duration>
  Event&& took(Duration duration) && {
    took_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
    return std::move(*this);
  }
  template <class Value>
  Event&& with(std::string_view name, Value value) && {
    add(name, std::move(value));
    return std::move(*this);
  }
  // Happens all the time: it is kept by the broker that it happens to, for a while, and nowhere
  // else.
  Event&& as_routine() && {
    routine = true;
    return std::move(*this);
  }

  template <class Value>
  void add(std::string_view name, Value value) {
    if constexpr (std::same_as<Value, bool>) {
      figures.push_back({name, value});
    } else if constexpr (std::integral<Value>) {
      figures.push_back({name, static_cast<int64_t>(value)});
    } else {
      figures.push_back({name, std::string(std::move(value))});
    }
  }

  Plane plane;
  std::string_view type;  // a literal: lower case, dots between its words, its subject first
  std::string cause;      // empty: it stands for itself
  bool routine = false;
  std::optional<int64_t> at_ns;
  std::optional<int64_t> took_ns;
  std::optional<Lane> lane;
  std::string topic;
  std::optional<int32_t> partition;
  std::optional<Epoch> epoch;
  std::optional<Offset> offset;
  std::vector<Figure> figures;
};

// "lane.sealed lane=1.7 end=200": one line for people.
std::string to_text(const Event& event);

// From any shard; never waits.
using EventSink = std::function<void(Event)>;

}  // namespace paceline
