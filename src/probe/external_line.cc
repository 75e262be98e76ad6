#include "probe/external_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

namespace paceline::probe {
namespace {

using Json = nlohmann::json;
using Row = evidence::LedgerRow;

std::string text_of(const Json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Within [least, most]; nothing if it is not there or no such number.
template <class Number>
std::optional<Number> number_of(const Json& line, const char* name, Number least,
                                Number most = std::numeric_limits<Number>::max()) {
  const auto found = line.find(name);
  if (found == line.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX) return std::nullopt;
  const auto value = found->get<int64_t>();
  if (std::cmp_less(value, least) || std::cmp_greater(value, most)) return std::nullopt;
  return static_cast<Number>(value);
}

bool flag_of(const Json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_boolean() && found->get<bool>();
}

std::optional<Row::Kind> kind_of(std::string_view type) {
  if (type == "sent") return Row::Kind::sent;
  if (type == "acked") return Row::Kind::acked;
  if (type == "failed") return Row::Kind::failed;
  if (type == "unknown") return Row::Kind::unknown;
  if (type == "read") return Row::Kind::read;
  return std::nullopt;
}

Result<ExternalLine> record_of(const Json& line, Row::Kind kind) {
  const auto lacks = [](const char* what) {
    return fail(Code::corrupt, fmt::format("a record without {}", what));
  };
  Row row;
  row.kind = kind;
  row.damaged = flag_of(line, "damaged");
  const auto partition = number_of<int32_t>(line, "partition", 0);
  if (!partition) return lacks("a partition");
  row.partition = *partition;
  const auto at = number_of<int64_t>(line, "at_ns", 0);
  if (!at) return lacks("a time");
  row.at_ns = *at;
  const bool reads = kind == Row::Kind::read;
  row.offset = number_of<int64_t>(line, "offset", -1).value_or(-1);
  if (reads && row.offset < 0) return lacks("an offset");
  row.client = number_of<uint16_t>(line, "client", 0).value_or(Row::kNone);
  if (!row.damaged) {
    const auto seq = number_of<int64_t>(line, "seq", 0);
    if (!seq) return lacks("a sequence number");
    row.seq = static_cast<uint64_t>(*seq);
    const auto intended = number_of<int64_t>(line, "intended_ns", 0);
    if (!intended) return lacks("an intended time");
    row.intended_ns = *intended;
    if (reads && row.client == Row::kNone) return lacks("its sender");
  }
  row.epoch = number_of<int32_t>(line, "epoch", -1).value_or(-1);
  row.broker = number_of<int32_t>(line, "broker", -1).value_or(-1);
  row.error = number_of<int32_t>(line, "error", INT32_MIN).value_or(0);
  return RecordLine{row};
}

}  // namespace

std::string to_line(const StartLine& start) {
  return Json{{"type", "start"},
              {"bootstrap", start.bootstrap},
              {"topic", start.topic},
              {"partitions", start.partitions},
              {"run_id", start.run_id},
              {"client", start.client},
              {"group", start.group},
              {"interval_ns", start.interval_ns},
              {"value_bytes", start.value_bytes}}
             .dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

std::string stop_line() {
  return "{\"type\":\"stop\"}\n";
}

Result<ExternalLine> parse_external_line(std::string_view text) {
  const Json line = Json::parse(text, nullptr, false);
  if (!line.is_object()) return fail(Code::corrupt, "a line that is no JSON object");
  const std::string type = text_of(line, "type");
  if (const auto kind = kind_of(type)) return record_of(line, *kind);
  if (type == "hello") {
    Hello hello{text_of(line, "library"), text_of(line, "version"),
                number_of<int64_t>(line, "clock_ns", 0)};
    if (hello.library.empty() || hello.version.empty())
      return fail(Code::corrupt, "a hello without library and version");
    return hello;
  }
  if (type == "error")
    return ErrorLine{text_of(line, "error"), text_of(line, "text"), flag_of(line, "fatal")};
  if (type == "rebalanced")
    return RebalancedLine{text_of(line, "event"),
                          number_of<int64_t>(line, "partitions", 0).value_or(0),
                          text_of(line, "member")};
  if (type == "bye") return Bye{};
  return fail(Code::corrupt, "a line of a type that is not known");
}

void Lines::add(std::string_view piece) {
  text_.erase(0, from_);
  from_ = 0;
  text_ += piece;
}

std::optional<std::string> Lines::next() {
  const size_t end = text_.find('\n', from_);
  const size_t left = text_.size() - from_;
  if (end == std::string::npos && left <= kLineBytesMax) return std::nullopt;
  const bool whole = end != std::string::npos && end - from_ <= kLineBytesMax;
  const size_t size = whole ? end - from_ : kLineBytesMax;
  std::string line = text_.substr(from_, size);
  from_ += whole ? size + 1 : size;
  return line;
}

}  // namespace paceline::probe
