#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"

namespace paceline::takeover {

// A state as bytes, with runs of zeros squeezed out. Equal states have equal bytes.
template <class State>
std::string pack_state(const State& state) {
  static_assert(
      std::is_trivially_copyable_v<State> && std::has_unique_object_representations_v<State>,
      "a state is compared by its bytes");
  unsigned char raw[sizeof(State)];
  std::memcpy(raw, &state, sizeof raw);
  std::string packed;
  packed.reserve(192);
  for (size_t at = 0; at < sizeof raw;) {
    if (raw[at] != 0) {
      packed.push_back(static_cast<char>(raw[at++]));
      continue;
    }
    size_t zeros = 1;
    while (at + zeros < sizeof raw && raw[at + zeros] == 0 && zeros < 255) ++zeros;
    packed.push_back('\0');
    packed.push_back(static_cast<char>(zeros));
    at += zeros;
  }
  return packed;
}

template <class State>
State unpack_state(std::string_view bytes) {
  unsigned char raw[sizeof(State)] = {};
  size_t to = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] != '\0')
      raw[to++] = static_cast<unsigned char>(bytes[at]);
    else
      to += static_cast<unsigned char>(bytes[++at]);
  }
  CHECK(to == sizeof raw);
  State state;
  std::memcpy(&state, raw, sizeof raw);
  return state;
}

}  // namespace paceline::takeover
