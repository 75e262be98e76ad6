#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace paceline::group {

// The topics of a Subscription of the consumer protocol (its start is the same in all versions);
// nothing if the bytes are something else. Everybody else's member metadata stays opaque.
std::optional<std::set<std::string>> parse_subscribed_topics(std::string_view metadata);

}  // namespace paceline::group
