#include "object/s3_xml.h"

#include <algorithm>
#include <charconv>

namespace paceline::object {
namespace {

std::unexpected<Error> corrupt(std::string why) {
  return fail(Code::corrupt, "no XML answer: " + std::move(why));
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<XmlElement> document() {
    skip_space();
    if (rest_.starts_with("<?xml")) {
      const size_t end = rest_.find("?>");
      if (end == std::string_view::npos) return corrupt("its declaration has no end");
      rest_.remove_prefix(end + 2);
      skip_space();
    }
    XmlElement root;
    TRY_VOID(element(root, 1));
    skip_space();
    if (!rest_.empty()) return corrupt("something follows it");
    return root;
  }

 private:
  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }
  bool eat(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  Result<std::string_view> name() {
    const auto end = std::ranges::find_if_not(rest_, is_name);
    const std::string_view found(rest_.begin(), end);
    if (found.empty()) return corrupt("an element has no name");
    rest_.remove_prefix(found.size());
    return found;
  }
  Result<void> attributes() {
    for (;;) {
      skip_space();
      if (rest_.empty() || rest_.front() == '>' || rest_.front() == '/') return {};
      TRY_VOID(name());
      skip_space();
      if (!eat("=")) return corrupt("an attribute has no value");
      skip_space();
      const char quote = rest_.empty() ? ' ' : rest_.front();
      if (quote != '"' && quote != '\'') return corrupt("an attribute has no value");
      const size_t end = rest_.find(quote, 1);
      if (end == std::string_view::npos) return corrupt("an attribute has no end");
      rest_.remove_prefix(end + 1);
    }
  }
  Result<void> entity(std::string& out);
  Result<void> element(XmlElement& into, size_t depth);
  Result<void> content(XmlElement& into, size_t depth);

  std::string_view rest_;
  size_t elements_ = 0;
};

Result<void> Parser::entity(std::string& out) {
  const size_t end = rest_.find(';');
  if (end == std::string_view::npos || end > 12) return corrupt("an entity has no end");
  std::string_view what = rest_.substr(1, end - 1);
  rest_.remove_prefix(end + 1);
  constexpr std::pair<std::string_view, char> kNamed[] = {
      {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, c] : kNamed) {
    if (what != known) continue;
    out += c;
    return {};
  }
  if (!what.starts_with('#')) return corrupt("an entity is not known");
  what.remove_prefix(1);
  const int base = what.starts_with('x') ? 16 : 10;
  if (base == 16) what.remove_prefix(1);
  uint32_t code = 0;
  const auto [stop, error] = std::from_chars(what.data(), what.data() + what.size(), code, base);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (error != std::errc{} || stop != what.data() + what.size() || code == 0 || code > 0x10ffff ||
      surrogate)
    return corrupt("an entity is no character");
  append_utf8(out, code);
  return {};
}

Result<void> Parser::element(XmlElement& into, size_t depth) {
  if (depth > kXmlDepthMax || ++elements_ > kXmlElementsMax) return corrupt("it is too large");
  if (!eat("<")) return corrupt("an element is missing");
  TRY(const std::string_view full, name());
  const size_t colon = full.find(':');
  into.name = std::string(colon == std::string_view::npos ? full : full.substr(colon + 1));
  TRY_VOID(attributes());
  if (eat("/>")) return {};
  if (!eat(">")) return corrupt("an element has no end");
  TRY_VOID(content(into, depth));
  if (!eat("</") || !eat(full)) return corrupt("an element ends with another name");
  skip_space();
  if (!eat(">")) return corrupt("an element has no end");
  // Between elements there is only room to read.
  if (!into.children.empty()) {
    if (!std::ranges::all_of(into.text, is_space)) return corrupt("text between elements");
    into.text.clear();
  }
  return {};
}

Result<void> Parser::content(XmlElement& into, size_t depth) {
  while (!rest_.empty()) {
    if (rest_.starts_with("</")) return {};
    if (rest_.front() == '<') {
      TRY_VOID(element(into.children.emplace_back(), depth + 1));
    } else if (rest_.front() == '&') {
      TRY_VOID(entity(into.text));
    } else {
      const size_t end = rest_.find_first_of("<&");
      into.text += rest_.substr(0, end);
      rest_.remove_prefix(std::min(end, rest_.size()));
    }
  }
  return corrupt("it ends too early");
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view named) const {
  const auto found = std::ranges::find(children, named, &XmlElement::name);
  return found == children.end() ? nullptr : &*found;
}

std::string_view XmlElement::text_of(std::string_view named) const {
  const XmlElement* found = child(named);
  return found ? std::string_view(found->text) : std::string_view{};
}

Result<XmlElement> parse_xml(std::string_view text) {
  return Parser(text).document();
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace paceline::object
