#include <fmt/format.h>

#include <algorithm>
#include <concepts>

#include "meta/records.h"

namespace paceline::meta {
namespace {

// Numbers in keys have a fixed width, so that the order of keys is the order of numbers (of
// broker ids too: none is negative).
constexpr std::string_view kLanes = "lanes/";
constexpr std::string_view kObjects = "/objects/";
constexpr std::string_view kDone = "/done/";

std::string hex(BrokerId id) {
  return fmt::format("{:08x}", static_cast<uint32_t>(id.value));
}
std::string hex(uint64_t number) {
  return fmt::format("{:016x}", number);
}
std::string hex(Lane lane) {
  return hex(lane.broker) + "." + hex(lane.incarnation.value);
}

constexpr size_t kLaneChars = 8 + 1 + 16;

// Exactly the digits that hex() writes: a key has one spelling.
template <std::unsigned_integral T>
std::optional<T> parse_hex(std::string_view text) {
  if (text.size() != 2 * sizeof(T)) return std::nullopt;
  T value = 0;
  for (char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = static_cast<T>(value << 4 | static_cast<T>(digit ? c - '0' : c - 'a' + 10));
  }
  return value;
}

std::optional<Lane> parse_lane(std::string_view text) {
  if (text.size() != kLaneChars || text[8] != '.') return std::nullopt;
  const auto broker = parse_hex<uint32_t>(text.substr(0, 8));
  const auto incarnation = parse_hex<uint64_t>(text.substr(9));
  if (!broker || !incarnation) return std::nullopt;
  return Lane{BrokerId(static_cast<int32_t>(*broker)), Incarnation(*incarnation)};
}

}  // namespace

std::string cluster_key() {
  return "cluster";
}
std::string broker_key(BrokerId id) {
  return "brokers/" + hex(id);
}
std::string lane_key(Lane lane) {
  return std::string(kLanes) + hex(lane);
}
std::string brokers_prefix() {
  return "brokers/";
}
std::optional<BrokerId> parse_broker_key(std::string_view key) {
  if (!key.starts_with(brokers_prefix())) return std::nullopt;
  const auto id = parse_hex<uint32_t>(key.substr(brokers_prefix().size()));
  if (!id) return std::nullopt;
  return BrokerId(static_cast<int32_t>(*id));
}
std::string lanes_prefix() {
  return std::string(kLanes);
}
std::string lanes_prefix(BrokerId id) {
  return std::string(kLanes) + hex(id) + ".";
}
std::string objects_prefix(Lane lane) {
  return lane_key(lane) + std::string(kObjects);
}
std::string object_key(Lane lane, uint64_t number) {
  return objects_prefix(lane) + hex(number);
}
std::string done_key(Lane lane, Lane successor) {
  return lane_key(lane) + std::string(kDone) + hex(successor);
}
std::string alive_prefix() {
  return "alive/";
}
std::string alive_key(Lane lane) {
  return alive_prefix() + hex(lane);
}
std::optional<Lane> parse_alive_key(std::string_view key) {
  if (!key.starts_with(alive_prefix())) return std::nullopt;
  return parse_lane(key.substr(alive_prefix().size()));
}
std::string deleted_prefix() {
  return "deleted/";
}
std::string deleted_key(Lane lane, uint64_t number) {
  return deleted_prefix() + hex(lane) + "/" + hex(number);
}
std::string pages_prefix(const Uuid& topic_id) {
  return "pages/" + topic_id.to_string() + "/";
}
std::string page_key(const Uuid& topic_id, uint32_t page) {
  return pages_prefix(topic_id) + fmt::format("{:08x}", page);
}
std::string topics_prefix() {
  return "topics/";
}
std::string topic_key(std::string_view name) {
  return topics_prefix() + std::string(name);
}
std::string broker_config_key(std::optional<BrokerId> id) {
  return "configs/brokers/" + (id ? hex(*id) : std::string());
}
std::string producer_ids_key() {
  return "producer-ids";
}

std::optional<LaneKey> parse_lane_key(std::string_view key) {
  if (!key.starts_with(kLanes)) return std::nullopt;
  key.remove_prefix(kLanes.size());
  const auto lane = parse_lane(key.substr(0, std::min(key.size(), kLaneChars)));
  if (!lane) return std::nullopt;
  key.remove_prefix(kLaneChars);
  LaneKey parsed{.lane = *lane, .kind = LaneKey::Kind::lane, .number = 0, .successor = {}};
  if (key.empty()) return parsed;
  if (key.starts_with(kObjects)) {
    const auto number = parse_hex<uint64_t>(key.substr(kObjects.size()));
    if (!number) return std::nullopt;
    parsed.kind = LaneKey::Kind::object;
    parsed.number = *number;
    return parsed;
  }
  if (!key.starts_with(kDone)) return std::nullopt;
  const auto successor = parse_lane(key.substr(kDone.size()));
  if (!successor) return std::nullopt;
  parsed.kind = LaneKey::Kind::done;
  parsed.successor = *successor;
  return parsed;
}

}  // namespace paceline::meta
