#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "evidence/ledger.h"

namespace paceline::probe {

// What a client outside and the drill say to each other, one JSON object a line: README.md.

struct StartLine {
  std::string bootstrap, topic, run_id, group;
  int32_t partitions = 0;
  uint16_t client = 0;  // its records say so of themselves
  int64_t interval_ns = 0;
  uint64_t value_bytes = 0;
};
std::string to_line(const StartLine& start);  // with the line's end
std::string stop_line();

struct Hello {
  std::string library, version;
  std::optional<int64_t> clock_ns;  // its clock as it said so
};
// The record's place and time as the client tells them; client, reader and topic are not filled in.
// `error` is its library's own.
struct RecordLine {
  evidence::LedgerRow row;
};
struct ErrorLine {
  std::string error, text;
  bool fatal = false;
};
struct RebalancedLine {
  std::string event;
  int64_t partitions = 0;
  std::string member = {};  // of several; empty: the client is one
};
struct Bye {};
using ExternalLine = std::variant<Hello, RecordLine, ErrorLine, RebalancedLine, Bye>;

// corrupt: it is no such line, with what is wrong.
Result<ExternalLine> parse_external_line(std::string_view line);

// Lines out of what comes in pieces.
class Lines {
 public:
  void add(std::string_view piece);
  // The next whole line, without its end. One that is too long comes in parts, which are no lines.
  std::optional<std::string> next();

 private:
  static constexpr size_t kLineBytesMax = 64 << 10;
  std::string text_;
  size_t from_ = 0;  // what is before it has been given
};

}  // namespace paceline::probe
