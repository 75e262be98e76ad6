#include "drill/secrets.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace paceline::drill {
namespace {

constexpr std::string_view kStars = "***";
constexpr size_t kSecretBytesMin = 4;  // a shorter value would star half of the text

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Where a value begins that follows the name which ends at `at`; npos: none does.
size_t value_after(std::string_view text, size_t at) {
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) ++at;
  while (at < text.size() && is_blank(text[at])) ++at;
  if (at >= text.size() || (text[at] != '=' && text[at] != ':')) return std::string_view::npos;
  ++at;
  while (at < text.size() && is_blank(text[at])) ++at;
  return at < text.size() ? at : std::string_view::npos;
}

// One after the last byte of the value at `at`.
size_t end_of_value(std::string_view text, size_t at) {
  if (text[at] == '"' || text[at] == '\'') {
    const char quote = text[at];
    for (size_t i = at + 1; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        return i + 1;
      }
    }
    return text.size();
  }
  // "Bearer abc" is one value.
  return std::min(text.find_first_of(",;}\n\r\"'", at), text.size());
}

std::string star_values(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_name_char(text[end])) ++end;
    if (end == at) {
      out += text[at++];
      continue;
    }
    const std::string_view name = text.substr(at, end - at);
    out += name;
    at = end;
    if (!looks_secret(name)) continue;
    const size_t value = value_after(text, end);
    if (value == std::string_view::npos) continue;
    out += text.substr(end, value - end);
    at = end_of_value(text, value);
    const bool quoted = text[value] == '"' || text[value] == '\'';
    out += quoted ? text[value] + std::string(kStars) + text[value] : std::string(kStars);
  }
  return out;
}

}  // namespace

bool looks_secret(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kParts[] = {"key",    "token",      "password", "passwd", "passphrase",
                                         "secret", "credential", "auth",     "sasl"};
  return std::ranges::any_of(
      kParts, [&](std::string_view part) { return lower.find(part) != std::string::npos; });
}

std::string redact(std::string text, const std::map<std::string, std::string>& environment) {
  std::vector<std::string> secrets;
  for (const auto& [name, value] : environment)
    if (looks_secret(name) && value.size() >= kSecretBytesMin) secrets.push_back(value);
  std::ranges::sort(secrets, [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::string& secret : secrets) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + kStars.size()))
      text.replace(at, secret.size(), kStars);
  }
  return star_values(text);
}

std::map<std::string, std::string> redact(std::map<std::string, std::string> environment) {
  for (auto& [name, value] : environment)
    if (looks_secret(name)) value = kStars;
  return environment;
}

}  // namespace paceline::drill
