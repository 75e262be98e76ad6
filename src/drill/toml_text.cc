#include "drill/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

// The one place that sees the library; nothing of it is in our headers. With exceptions, which end
// here: without them its parser goes on behind some errors, into its own assertions ("[[a]b").
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace paceline::drill {
namespace {

constexpr size_t kTextBytesMax = 1u << 20;

// The line of the first byte beyond ASCII that is neither in a comment nor in quotes on one line;
// 0: there is none. Version 3.3 of the library asks of such a character whether it is a space, and
// has no answer for most.
unsigned line_beyond_ascii(std::string_view text) {
  unsigned line = 1;
  std::string_view quote;  // that is to end it
  bool comment = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
      comment = false;
      if (quote.size() == 1) quote = {};  // an error, which the parser tells
    } else if (comment) {
      continue;
    } else if (static_cast<unsigned char>(c) >= 0x80 && quote.size() != 1) {
      return line;
    } else if (quote.empty()) {
      comment = c == '#';
      if (c == '"' || c == '\'') {
        const std::string_view three = c == '"' ? "\"\"\"" : "'''";
        quote = text.substr(at).starts_with(three) ? three : three.substr(0, 1);
        at += quote.size() - 1;
      }
    } else if (c == '\\' && quote.front() == '"') {
      ++at;
      if (at < text.size() && text[at] == '\n') ++line;
    } else if (text.substr(at).starts_with(quote)) {
      at += quote.size() - 1;
      quote = {};
    }
  }
  return 0;
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
  if (const unsigned line = line_beyond_ascii(text); line > 0)
    return fail(
        Code::invalid_argument,
        fmt::format("line {}: only comments and text in quotes, on one line, may be beyond ASCII",
                    line));
  try {
    return node_of(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid_argument,
                fmt::format("line {}: {}", error.source().begin.line, error.description()));
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
