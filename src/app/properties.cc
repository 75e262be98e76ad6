#include "app/properties.h"

#include <charconv>

namespace paceline::app {
namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\f';
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// One logical line: continued lines are joined, leading blanks of a continuation dropped.
std::string logical_line(std::string_view& rest, int& lines) {
  std::string line;
  for (bool first = true;; first = false) {
    const size_t end = rest.find('\n');
    std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    ++lines;
    if (!part.empty() && part.back() == '\r') part.remove_suffix(1);
    while (!part.empty() && blank(part.front())) part.remove_prefix(1);
    if (first && (part.empty() || part.front() == '#' || part.front() == '!')) return {};
    size_t slashes = 0;
    while (slashes < part.size() && part[part.size() - 1 - slashes] == '\\') ++slashes;
    if (slashes % 2 == 0 || rest.empty()) {
      line += part;
      return line;
    }
    line += part.substr(0, part.size() - 1);
  }
}

Result<std::string> unescape(std::string_view text, int line) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char c = text[++at];
    switch (c) {
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 'f':
        out += '\f';
        break;
      case 'u': {
        uint32_t code = 0;
        const char* from = text.data() + at + 1;
        const size_t left = text.size() - at - 1;
        if (left < 4)
          return fail(Code::invalid_argument, fmt::format("line {}: \\u needs four digits", line));
        auto [end, error] = std::from_chars(from, from + 4, code, 16);
        if (error != std::errc{} || end != from + 4)
          return fail(Code::invalid_argument, fmt::format("line {}: \\u needs four digits", line));
        append_utf8(out, code);
        at += 4;
        break;
      }
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Property>> parse_properties(std::string_view text) {
  std::vector<Property> properties;
  int lines = 0;
  while (!text.empty()) {
    const int number = lines + 1;
    const std::string line = logical_line(text, lines);
    if (line.empty()) continue;
    size_t end = 0;
    while (end < line.size() && !blank(line[end]) && line[end] != '=' && line[end] != ':')
      end += line[end] == '\\' ? 2 : 1;
    end = std::min(end, line.size());
    size_t value = end;
    while (value < line.size() && blank(line[value])) ++value;
    if (value < line.size() && (line[value] == '=' || line[value] == ':')) ++value;
    while (value < line.size() && blank(line[value])) ++value;
    TRY(std::string key, unescape(std::string_view(line).substr(0, end), number));
    TRY(std::string text_value, unescape(std::string_view(line).substr(value), number));
    while (!text_value.empty() && blank(text_value.back())) text_value.pop_back();
    if (key.empty())
      return fail(Code::invalid_argument, fmt::format("line {}: a value without a key", number));
    properties.push_back({std::move(key), std::move(text_value), number});
  }
  return properties;
}

}  // namespace paceline::app
