#include "stream/types.h"

#include <fmt/format.h>

#include <charconv>

namespace paceline::stream {
namespace {

constexpr std::string_view kPrefix = "objects/";
constexpr size_t kBrokerDigits = 8;
constexpr size_t kDigits = 16;

template <class T>
bool parse_hex(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string ObjectId::to_string() const {
  return fmt::format("{}/{}", lane.to_string(), number);
}

std::string bodies_prefix(Lane lane) {
  return fmt::format("{}{:08x}.{:016x}/", kPrefix, static_cast<uint32_t>(lane.broker.value),
                     lane.incarnation.value);
}

std::string bodies_prefix() {
  return std::string(kPrefix);
}

std::string bodies_prefix(BrokerId broker) {
  return fmt::format("{}{:08x}.", kPrefix, static_cast<uint32_t>(broker.value));
}

std::string body_key(const ObjectId& id) {
  return fmt::format("{}{:016x}", bodies_prefix(id.lane), id.number);
}

std::optional<ObjectId> parse_body_key(std::string_view key) {
  if (key.size() != kPrefix.size() + kBrokerDigits + 1 + kDigits + 1 + kDigits) return std::nullopt;
  const std::string_view names = key.substr(kPrefix.size());
  uint32_t broker = 0;
  uint64_t incarnation = 0;
  uint64_t number = 0;
  if (!parse_hex(names.substr(0, kBrokerDigits), broker) ||
      !parse_hex(names.substr(kBrokerDigits + 1, kDigits), incarnation) ||
      !parse_hex(names.substr(kBrokerDigits + kDigits + 2), number))
    return std::nullopt;
  ObjectId id{Lane{BrokerId(static_cast<int32_t>(broker)), Incarnation(incarnation)}, number};
  if (body_key(id) != key) return std::nullopt;  // one spelling only
  return id;
}

}  // namespace paceline::stream
