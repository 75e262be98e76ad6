#include "record/kafka_error.h"

#include <array>

namespace paceline::record {
namespace {

// The lower-case enumerator is the only place where a name is spelled.
template <size_t N>
constexpr std::array<char, N> upper(const char (&name)[N]) {
  std::array<char, N> out{};
  for (size_t i = 0; i < N; ++i)
    out[i] = name[i] >= 'a' && name[i] <= 'z' ? static_cast<char>(name[i] - 'a' + 'A') : name[i];
  return out;
}

}  // namespace

std::string_view kafka_error_name(KafkaError error) {
  switch (error) {
#define PACELINE_KAFKA_CASE(name, code)        \
  case KafkaError::name: {                     \
    static constexpr auto text = upper(#name); \
    return {text.data(), text.size() - 1};     \
  }
    PACELINE_KAFKA_ERRORS(PACELINE_KAFKA_CASE)
#undef PACELINE_KAFKA_CASE
  }
  return "UNKNOWN";
}

std::string KafkaFailure::to_string() const {
  std::string text(kafka_error_name(code));
  text += ": ";
  text += message;
  return text;
}

}  // namespace paceline::record
