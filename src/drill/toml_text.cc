#include "drill/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

// The one place that sees the library; nothing of it is in our headers. It throws, and that ends
// here: without exceptions its parser goes on behind some errors. What it asserts of its input
// ("[[[a") is an error of that, too.
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#undef NDEBUG
#define TOML_ASSERT(what) ((what) ? void() : throw std::invalid_argument("no key where one is due"))
#include <toml++/toml.h>

namespace paceline::drill {
namespace {

constexpr size_t kTextBytesMax = 1u << 20;

// The code point of UTF-8 at the front of `text`, and how many bytes it takes; 0: it is none.
std::pair<uint32_t, size_t> decode_utf8(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const size_t count = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < count) return {0, 0};
  uint32_t point = byte(0) & (0x7fu >> count);
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    point = point << 6 | (byte(i) & 0x3f);
  }
  return {point, count};
}

// The same document in ASCII: what is beyond it becomes an escape, which means the same in double
// quotes and is an error of TOML elsewhere. Version 3.3 of the library asks of any other character
// whether it is a space, and has no answer for most. An error where an escape would mean itself.
Result<std::string> in_ascii(std::string_view text) {
  std::string plain;
  std::string_view quote;  // that is to end it
  unsigned line = 1;
  bool comment = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto rest = text.substr(at);
    if (static_cast<uint8_t>(c) >= 0x80) {
      const auto [point, count] = decode_utf8(rest);
      if (count == 0)
        return fail(Code::invalid_argument, fmt::format("line {}: this is not UTF-8", line));
      if (quote.starts_with('\''))
        return fail(Code::invalid_argument,
                    fmt::format("line {}: text beyond ASCII has to be in double quotes", line));
      plain += comment ? "?" : fmt::format("\\U{:08X}", point);
      at += count - 1;
      continue;
    }
    plain += c;
    if (c == '\n') {
      ++line;
      comment = false;
      if (quote.size() == 1) quote = {};  // an error, which the library tells
    } else if (quote.empty() && !comment) {
      comment = c == '#';
      for (const std::string_view mark : {"\"\"\"", "'''", "\"", "'"})
        if (quote.empty() && rest.starts_with(mark)) quote = mark;
      if (!quote.empty()) plain += quote.substr(1);
      at += quote.empty() ? 0 : quote.size() - 1;
    } else if (c == '\\' && quote.starts_with('"') && at + 1 < text.size() &&
               (text[at + 1] == '"' || text[at + 1] == '\\')) {
      plain += text[++at];
    } else if (!quote.empty() && rest.starts_with(quote)) {
      plain += quote.substr(1);
      at += quote.size() - 1;
      quote = {};
    }
  }
  return plain;
}

template <class Value>
std::string in_words(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Node node_of(const toml::node& from) {
  Node node;
  node.line = from.source().begin.line;
  switch (from.type()) {
    case toml::node_type::string:
      node.kind = Node::Kind::text;
      node.text = from.as_string()->get();
      break;
    case toml::node_type::integer:
      node.kind = Node::Kind::integer;
      node.integer = from.as_integer()->get();
      node.real = static_cast<double>(node.integer);
      break;
    case toml::node_type::floating_point:
      node.kind = Node::Kind::real;
      node.real = from.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      node.kind = Node::Kind::flag;
      node.flag = from.as_boolean()->get();
      break;
    case toml::node_type::array:
      node.kind = Node::Kind::list;
      for (const toml::node& item : *from.as_array()) node.items.push_back(node_of(item));
      break;
    case toml::node_type::table:
      node.kind = Node::Kind::table;
      for (const auto& [key, value] : *from.as_table())
        node.fields.push_back({std::string(key.str()), node_of(value)});
      std::ranges::stable_sort(node.fields, {}, [](const Field& one) { return one.value.line; });
      break;
    case toml::node_type::date:
      node.kind = Node::Kind::text;
      node.text = in_words(from.as_date()->get());
      break;
    case toml::node_type::time:
      node.kind = Node::Kind::text;
      node.text = in_words(from.as_time()->get());
      break;
    case toml::node_type::date_time:
      node.kind = Node::Kind::text;
      node.text = in_words(from.as_date_time()->get());
      break;
    case toml::node_type::none:
      break;
  }
  return node;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  for (const auto& [key, value] : fields)
    if (key == name) return &value;
  return nullptr;
}

Result<Node> parse_toml(std::string_view text) {
  if (text.size() > kTextBytesMax)
    return fail(Code::invalid_argument, fmt::format("longer than {} bytes", kTextBytesMax));
  TRY(const std::string plain, in_ascii(text));
  try {
    return node_of(toml::parse(plain));
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid_argument,
                fmt::format("line {}: {}", error.source().begin.line, error.description()));
  } catch (const std::invalid_argument& error) {
    return fail(Code::invalid_argument, fmt::format("this is not TOML: {}", error.what()));
  }
}

Reader::Reader(const Node* table, std::string where, std::vector<std::string>& problems)
    : table_(table && table->kind == Node::Kind::table ? table : nullptr),
      where_(std::move(where)),
      problems_(problems) {
  if (table && !table_) complain(table->line, "is no table");
}

Reader::~Reader() {
  if (!table_) return;
  for (const auto& [name, value] : table_->fields)
    if (std::ranges::find(asked_, name) == asked_.end())
      complain(value.line, fmt::format("knows no '{}'", name));
}

void Reader::complain(unsigned line, const std::string& what) {
  problems_.push_back(fmt::format("line {}: {} {}", line, where_, what));
}

const Node* Reader::any(const char* name) {
  asked_.emplace_back(name);
  return table_ ? table_->find(name) : nullptr;
}

void Reader::want(const Node& node, Node::Kind kind, const char* name, const char* what) {
  if (node.kind != kind) complain(node.line, fmt::format("'{}' is to be {}", name, what));
}

std::string Reader::word(const char* name, std::string otherwise) {
  const Node* node = any(name);
  if (!node) return otherwise;
  want(*node, Node::Kind::text, name, "text in quotes");
  return node->text;
}

double Reader::number(const char* name, double otherwise, double low, double high) {
  const Node* node = any(name);
  if (!node) return otherwise;
  if (node->kind != Node::Kind::integer && node->kind != Node::Kind::real) {
    complain(node->line, fmt::format("'{}' is to be a number", name));
    return otherwise;
  }
  // Not the other way round: no comparison holds for a NaN.
  if (!(node->real >= low && node->real <= high)) {
    complain(node->line, fmt::format("'{}' is to be {} to {}", name, low, high));
    return otherwise;
  }
  return node->real;
}

int64_t Reader::integer(const char* name, int64_t otherwise, int64_t low, int64_t high) {
  const Node* node = any(name);
  if (!node) return otherwise;
  if (node->kind != Node::Kind::integer || node->integer < low || node->integer > high) {
    complain(node->line, fmt::format("'{}' is to be a whole number, {} to {}", name, low, high));
    return otherwise;
  }
  return node->integer;
}

bool Reader::flag(const char* name, bool otherwise) {
  const Node* node = any(name);
  if (!node) return otherwise;
  want(*node, Node::Kind::flag, name, "true or false");
  return node->flag;
}

std::vector<std::string> Reader::words(const char* name) {
  const Node* node = any(name);
  std::vector<std::string> all;
  if (!node) return all;
  if (node->kind != Node::Kind::list) {
    complain(node->line, fmt::format("'{}' is to be a list of texts", name));
    return all;
  }
  for (const Node& item : node->items) {
    want(item, Node::Kind::text, name, "a list of texts");
    all.push_back(item.text);
  }
  return all;
}

const Node* Reader::table(const char* name) {
  const Node* node = any(name);
  if (node && node->kind != Node::Kind::table) {
    complain(node->line, fmt::format("'{}' is to be a table", name));
    return nullptr;
  }
  return node;
}

const Node* Reader::list(const char* name) {
  const Node* node = any(name);
  if (node && node->kind != Node::Kind::list) {
    complain(node->line, fmt::format("'{}' is to be a list", name));
    return nullptr;
  }
  return node;
}

}  // namespace paceline::drill
