#include "object/key.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::object {
namespace {

bool is_component(std::string_view text) {
  if (text.empty() || text.size() > kComponentBytesMax || text.front() == '.') return false;
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

}  // namespace

Result<void> check_key(std::string_view key) {
  bool fine = key.size() <= kKeyBytesMax;
  for (std::string_view rest = key; fine;) {
    const size_t slash = rest.find('/');
    fine = is_component(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (fine) return {};
  // A key that is refused may hold anything: it is not repeated in full.
  return fail(
      Code::invalid_argument,
      fmt::format("{:?} is no object key", key.substr(0, std::min<size_t>(key.size(), 100))));
}

}  // namespace paceline::object
