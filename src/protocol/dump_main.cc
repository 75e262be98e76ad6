// Reads lines "API VERSION request|response HEX" and answers each with one line:
//   ok FIELDS-AS-JSON HEX-ENCODED-AGAIN      or      error WHY
// so that an encoder written by somebody else can be compared with ours, field by field.
#include <fmt/format.h>

#include <iostream>
#include <sstream>

#include "protocol/probe.h"

namespace {

using namespace paceline;
using namespace paceline::protocol;

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

Result<std::string> unhex(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (text.size() % 2) return fail(Code::invalid_argument, "an odd number of hex digits");
  std::string bytes;
  for (size_t at = 0; at < text.size(); at += 2) {
    const int high = digit(text[at]);
    const int low = digit(text[at + 1]);
    if (high < 0 || low < 0) return fail(Code::invalid_argument, "not a hex digit");
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

Result<std::string> answer(const std::vector<Probe>& all, const std::string& line) {
  std::istringstream words(line);
  int api_key = 0;
  int16_t version = 0;
  std::string kind;
  std::string digits;
  if (!(words >> api_key >> version >> kind)) {
    return fail(Code::invalid_argument, "the form is: API VERSION request|response HEX");
  }
  words >> digits;  // an empty body has none
  TRY(const std::string bytes, unhex(digits));
  for (const Probe& probe : all) {
    if (probe.api_key != api_key || (probe.kind == Kind::request) != (kind == "request")) continue;
    TRY(const Seen seen, probe.look(version, as_bytes(bytes)));
    return fmt::format("ok {} {}", seen.text, hex(seen.bytes));
  }
  return fail(Code::not_found, fmt::format("no API {}", api_key));
}

}  // namespace

int main() {
  const std::vector<Probe> all = probes();
  for (std::string line; std::getline(std::cin, line);) {
    auto text = answer(all, line);
    std::cout << (text ? *text : "error " + text.error().message) << '\n';
  }
}
