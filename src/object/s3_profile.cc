#include "object/s3_profile.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::object {
namespace {

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Empty if the section is none of a profile.
std::string profile_name(std::string_view section, bool config) {
  section = trim(section);
  if (!config || section == "default") return std::string(section);
  if (!section.starts_with("profile ") && !section.starts_with("profile\t")) return {};
  return std::string(trim(section.substr(8)));
}

}  // namespace

Result<std::map<std::string, Profile>> parse_profiles(std::string_view text, bool config) {
  std::map<std::string, Profile> profiles;
  Profile* current = nullptr;
  bool in_section = false;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    const std::string_view line = trim(whole);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const size_t end = line.find(']');
      if (end == std::string_view::npos)
        return fail(Code::invalid_argument, fmt::format("line {} is no section", number));
      const std::string name = profile_name(line.substr(1, end - 1), config);
      in_section = true;
      current = name.empty() ? nullptr : &profiles[name];
      continue;
    }
    // What is set in from the margin belongs to the key before: settings of other services.
    if (whole.front() == ' ' || whole.front() == '\t') continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0 || !in_section)
      return fail(Code::invalid_argument, fmt::format("line {} is no setting", number));
    std::string key(trim(line.substr(0, equals)));
    std::ranges::transform(key, key.begin(), [](char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    });
    if (current) (*current)[key] = std::string(trim(line.substr(equals + 1)));
  }
  return profiles;
}

}  // namespace paceline::object
