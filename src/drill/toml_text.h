#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::drill {

// A TOML document as a tree that knows its lines. Dates and times are text.
struct Field;
struct Node {
  enum class Kind { none, text, integer, real, flag, list, table };
  Kind kind = Kind::none;
  unsigned line = 0;
  std::string text;
  int64_t integer = 0;
  double real = 0;
  bool flag = false;
  std::vector<Node> items;    // of a list
  std::vector<Field> fields;  // of a table, as written

  const Node* find(std::string_view name) const;
};

struct Field {
  std::string name;
  Node value;
};

// invalid_argument: one sentence with the line.
Result<Node> parse_toml(std::string_view text);

// Takes a table apart and complains once for each thing that is wrong, with its line; what nobody
// has asked for is wrong as well.
class Reader {
 public:
  // `where` is what sentences call the table: "[load]".
  Reader(const Node* table, std::string where, std::vector<std::string>& problems);
  ~Reader();  // complains of fields that nobody has asked for
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool there() const { return table_ != nullptr; }
  unsigned line() const { return table_ ? table_->line : 0; }
  std::string word(const char* name, std::string otherwise = {});
  // A number within bounds, both included.
  double number(const char* name, double otherwise, double low, double high);
  int64_t integer(const char* name, int64_t otherwise, int64_t low, int64_t high);
  bool flag(const char* name, bool otherwise);
  std::vector<std::string> words(const char* name);
  const Node* table(const char* name);
  const Node* list(const char* name);
  // Whatever there is, to be looked at by the caller.
  const Node* any(const char* name);

  void complain(unsigned line, const std::string& what);

 private:
  void want(const Node& node, Node::Kind kind, const char* name, const char* what);
  const Node* const table_;
  const std::string where_;
  std::vector<std::string>& problems_;
  std::vector<std::string> asked_;
};

}  // namespace paceline::drill
