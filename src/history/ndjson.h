#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "history/flat_json.h"
#include "history/history.h"

namespace paceline::history {

// A history as lines of JSON, one event each; README.md describes them. The first line of a file:
std::string header_line();
// One event, with its line end.
std::string line_of(const Event& event, const History& history);

// Adds the lines of files to one history.
class Reader {
 public:
  explicit Reader(History& to) : to_(to) {}
  // A new file: its first line has to be a header.
  void begin() { line_number_ = 0; }
  // One line, without its end. An error says in one sentence what is wrong with which line.
  Result<void> line(std::string_view text);

 private:
  History& to_;
  FlatJson json_;
  uint64_t line_number_ = 0;
};

}  // namespace paceline::history
