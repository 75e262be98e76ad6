#include "drill/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

// The one place that sees the library: without exceptions, and nothing of it in our headers.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace paceline::drill {
namespace {

constexpr size_t kTextBytesMax = 1u << 20;

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
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed)
    return fail(Code::invalid_argument,
                fmt::format("line {}: {}", parsed.error().source().begin.line,
                            parsed.error().description()));
  return node_of(parsed.table());
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
