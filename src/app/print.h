#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace paceline::app {

// What a command prints: rows under upper-case headers, "-" for null, or one JSON document
// {"api_version": "paceline/v1", "kind": KIND, "items": [...]}, where every row is an object.
struct Cell {
  enum class What { text, number, null, boolean };
  What what = What::null;
  std::string text;

  static Cell of(std::string text) { return {What::text, std::move(text)}; }
  static Cell of(int64_t number) { return {What::number, std::to_string(number)}; }
  static Cell of(bool value) { return {What::boolean, value ? "true" : "false"}; }
  static Cell none() { return {}; }
};

class Listing {
 public:
  Listing(std::string kind, std::vector<std::string> columns)  // snake_case, the unit in the name
      : kind_(std::move(kind)), columns_(std::move(columns)) {}
  void row(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  // A second list of the same document: a table below, or one more array under this name.
  void attach(std::string name, Listing more) { attached_.emplace_back(name, std::move(more)); }
  void print(bool json) const;

 private:
  std::string table() const;
  std::string json() const;
  nlohmann::ordered_json items() const;
  std::string kind_;
  std::vector<std::string> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<std::pair<std::string, Listing>> attached_;
};

}  // namespace paceline::app
