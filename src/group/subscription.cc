#include "group/subscription.h"

#include "base/codec.h"

namespace paceline::group {

std::optional<std::set<std::string>> parse_subscribed_topics(std::string_view metadata) {
  Decoder in(metadata);
  const auto version = in.get<int16_t>();
  const auto count = in.get<int32_t>();
  if (!in.ok() || version < 0 || count < 0) return std::nullopt;
  std::set<std::string> topics;
  for (int32_t i = 0; i < count; ++i) {
    const auto size = in.get<int16_t>();
    if (size < 0) return std::nullopt;
    topics.insert(to_string(in.raw(static_cast<size_t>(size))));
    if (!in.ok()) return std::nullopt;
  }
  return topics;
}

}  // namespace paceline::group
