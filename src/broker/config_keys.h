#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "broker/topic_config.h"

namespace paceline::broker {

// What becomes of a key that somebody sets.
enum class KeyClass {
  honoured,  // does what Kafka says it does
  accepted,  // known, has no meaning here; one notice
  refused,   // would promise what we do not do; `why` says what to do instead
};

struct KeySpec {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;  // "" with has_default = false: null
  KeyClass key_class;
  std::string_view documentation;
  bool has_default = true;
};

// A topic key and the broker keys that give its default, strongest first, each with the factor that
// turns its unit into the topic key's.
struct TopicKeySpec {
  KeySpec key;
  struct Synonym {
    std::string_view name;
    int64_t factor = 1;
  };
  Synonym synonyms[3];            // "" ends the list
  std::string_view allowed = "";  // of strings and lists: the legal words, separated by commas
  double minimum = -9.3e18;
  double maximum = 9.3e18;
};

std::span<const TopicKeySpec> topic_keys();
const TopicKeySpec* find_topic_key(std::string_view name);
std::span<const KeySpec> broker_keys();
// By exact name, or by the families that end in '*'.
const KeySpec* find_broker_key(std::string_view name);
// Why a value of a broker key is refused at start, though the key is known; nothing if it is not.
std::optional<std::string> refused_value(std::string_view key, std::string_view value);
// The known key most like a mistyped one; "" if none is near.
std::string_view nearest_broker_key(std::string_view name);
// The words of a comma-separated value, without blanks around them; empty ones are left out.
std::vector<std::string_view> split_list(std::string_view text);
// Whether `value` is one of the type's.
Result<void> check_type(std::string_view key, ConfigType type, std::string_view value);

}  // namespace paceline::broker
