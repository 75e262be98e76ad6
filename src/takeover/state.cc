#include "takeover/state.h"

#include <cstring>
#include <type_traits>

#include "base/check.h"

namespace paceline::takeover {

static_assert(std::is_trivially_copyable_v<State> &&
                  std::has_unique_object_representations_v<State>,
              "a state is compared by its bytes");

std::string pack(const State& state) {
  unsigned char raw[sizeof(State)];
  std::memcpy(raw, &state, sizeof raw);
  std::string packed;
  packed.reserve(128);
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

State unpack(std::string_view bytes) {
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

std::string_view sentence(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "nothing";
    case Fault::two_records_at_one_offset:
      return "two records were told at one offset";
    case Fault::one_record_twice:
      return "one record stands at two offsets";
    case Fault::acknowledged_is_missing:
      return "a leader serves without something that was told";
    case Fault::hole_in_recovery:
      return "a successor finds a hole in a log";
    case Fault::epoch_goes_back:
      return "a broker begins to serve an older epoch than was served";
    case Fault::needed_was_deleted:
      return "a slot was deleted that held the only copy of something told";
    case Fault::fenced_itself:
      return "a broker took its own slot for a fence";
  }
  return "";
}

}  // namespace paceline::takeover
