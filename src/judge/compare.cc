#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "judge/judge.h"
#include "judge/limits.h"

// Two reports side by side, each read as any file from anywhere.

namespace paceline::judge {
namespace {

using Json = nlohmann::json;

constexpr size_t kNameColumns = 26;
constexpr size_t kColumns = 25;

class ReportView {
 public:
  static Result<ReportView> parse(std::string_view text) {
    ReportView view;
    view.json_ = Json::parse(text, nullptr, false);
    if (!view.json_.is_object()) return fail(Code::corrupt, "a report that is no JSON object");
    if (view.word({"kind"}) != "DrillReport")
      return fail(Code::corrupt, "a report whose 'kind' is not DrillReport");
    return view;
  }

  const Json& at(std::initializer_list<const char*> path) const {
    static const Json kNone;
    const Json* json = &json_;
    for (const char* name : path) {
      if (!json->is_object()) return kNone;
      const auto found = json->find(name);
      if (found == json->end()) return kNone;
      json = &*found;
    }
    return *json;
  }
  std::string word(std::initializer_list<const char*> path) const {
    const Json& json = at(path);
    return json.is_string() ? json.get<std::string>() : std::string();
  }
  // With its unit; "-" where there is none.
  std::string number(std::initializer_list<const char*> path, const char* unit) const {
    const Json& json = at(path);
    return json.is_number() ? in_words(json.get<double>(), unit) : "-";
  }
  std::string state(const char* list, const std::string& id) const {
    const Json& rows = at({list});
    if (!rows.is_array()) return "-";
    for (const Json& row : rows) {
      if (!row.is_object() || row.value("id", Json()) != id) continue;
      const Json state = row.value("state", Json());
      return state.is_string() ? state.get<std::string>() : "-";
    }
    return "-";
  }
  std::vector<std::string> ids(const char* list) const {
    std::vector<std::string> result;
    const Json& rows = at({list});
    if (!rows.is_array()) return result;
    for (const Json& row : rows)
      if (row.is_object())
        if (const Json id = row.value("id", Json()); id.is_string())
          result.push_back(id.get<std::string>());
    return result;
  }

 private:
  Json json_;
};

std::string cell(std::string_view text, size_t columns) {
  std::string out;
  for (const char c : text.substr(0, columns)) out += c >= 0x20 && c < 0x7f ? c : '?';
  out.resize(columns, ' ');
  return out;
}

class Table {
 public:
  Table(const ReportView& left, const ReportView& right) : left_(left), right_(right) {}

  void row(std::string_view name, std::string_view left, std::string_view right) {
    std::string line =
        cell(name, kNameColumns) + ' ' + cell(left, kColumns) + ' ' + cell(right, kColumns);
    while (line.ends_with(' ')) line.pop_back();
    text_ += line + "\n";
  }
  void word(const char* name, std::initializer_list<const char*> path) {
    row(name, left_.word(path), right_.word(path));
  }
  void number(const char* name, std::initializer_list<const char*> path, const char* unit) {
    row(name, left_.number(path, unit), right_.number(path, unit));
  }
  void states(const char* list) {
    std::vector<std::string> ids = left_.ids(list);
    for (std::string& id : right_.ids(list))
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(std::move(id));
    for (const std::string& id : ids) row(id, left_.state(list, id), right_.state(list, id));
  }
  std::string take() { return std::move(text_); }

 private:
  const ReportView& left_;
  const ReportView& right_;
  std::string text_;
};

}  // namespace

Result<std::string> compare(std::string_view left_json, std::string_view right_json) {
  TRY(const ReportView left, ReportView::parse(left_json));
  TRY(const ReportView right, ReportView::parse(right_json));
  Table table(left, right);
  table.word("run", {"run_id"});
  table.word("target", {"run", "target", "profile"});
  table.word("version", {"run", "target", "version"});
  table.word("plan", {"run", "plan", "name"});
  if (left.word({"run", "plan", "sha256"}) != right.word({"run", "plan", "sha256"}))
    table.row("", "two plans, not one", "");
  table.word("verdict", {"verdict"});
  table.number("gap, p50", {"gap", "p50_ms"}, "ms");
  table.number("gap, p99", {"gap", "p99_ms"}, "ms");
  table.number("gap, max", {"gap", "max_ms"}, "ms");
  table.number("gap, N", {"gap", "samples"}, "");
  table.number("planned gap, max", {"gap", "planned", "max_ms"}, "ms");
  table.number("unplanned gap, max", {"gap", "unplanned", "max_ms"}, "ms");
  for (const char* name : {"acked", "errors", "lost", "duplicated", "reordered", "damaged",
                           "never_read", "rebalances_extra"})
    table.number(name, {"counts", name}, "");
  table.number("recovery read", {"recovery", "bytes_read"}, "bytes");
  table.number("historical copied", {"recovery", "historical_bytes_copied"}, "bytes");
  table.number("left over", {"recovery", "left_over_ms"}, "ms");
  table.number("cost", {"recovery", "usd", "value"}, "USD");
  table.number("clock bound", {"clock", "bound_ms"}, "ms");
  table.word("most of it", {"dominant", "unit"});
  table.states("scorecard");
  table.states("negative_tests");
  return table.take();
}

}  // namespace paceline::judge
