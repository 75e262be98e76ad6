#include "judge/prometheus.h"

#include <fmt/format.h>

namespace paceline::judge {
namespace {

int number_of(State state) {
  switch (state) {
    case State::green:
      return 0;
    case State::amber:
      return 1;
    case State::red:
      return 2;
    case State::grey:
      break;
  }
  return 3;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class Metrics {
 public:
  void family(const char* name, const char* unit, const char* help) {
    text_ += fmt::format("# TYPE {0} gauge\n", name);
    if (*unit) text_ += fmt::format("# UNIT {} {}\n", name, unit);
    text_ += fmt::format("# HELP {} {}\n", name, help);
    name_ = name;
  }
  void sample(const std::string& labels, double value) {
    text_ += fmt::format("{}{}{}{} {}\n", name_, labels.empty() ? "" : "{", labels,
                         labels.empty() ? "" : "}", value);
  }
  std::string end() && { return std::move(text_) + "# EOF\n"; }

 private:
  std::string text_;
  const char* name_ = "";
};

void gaps(const Report& report, Metrics& metrics) {
  metrics.family("drill_client_gap_seconds", "seconds",
                 "How long a client waited for a partition around a fault.");
  const auto add = [&](const char* kind, const Quantiles& gap) {
    const auto one = [&](const char* quantile, const std::optional<double>& ms) {
      if (ms) metrics.sample(fmt::format("kind=\"{}\",quantile=\"{}\"", kind, quantile), *ms / 1e3);
    };
    one("0.5", gap.p50);
    one("0.99", gap.p99);
    one("1", gap.max);
  };
  add("all", report.gap);
  add("planned", report.gap_planned);
  add("unplanned", report.gap_unplanned);
  metrics.family("drill_client_gap_samples", "", "How many waits the quantiles are of.");
  metrics.sample("kind=\"all\"", static_cast<double>(report.gap.samples));
}

}  // namespace

std::string metrics_prom(const Report& report) {
  Metrics metrics;
  metrics.family("drill_check_status", "", "0 green, 1 amber, 2 red, 3 grey: no evidence.");
  metrics.sample("check=\"verdict\"", number_of(report.verdict));
  for (const Row& row : report.scorecard)
    metrics.sample(fmt::format("check=\"{}\"", escaped(row.id)), number_of(row.state));
  for (const NegativeTest& test : report.negative)
    metrics.sample(fmt::format("check=\"{}\"", escaped(test.id)), number_of(test.state));
  for (const ReadinessRow& row : report.readiness)
    metrics.sample(fmt::format("check=\"readiness_{}\"", escaped(row.item)), number_of(row.state));
  gaps(report, metrics);
  metrics.family("drill_records", "", "What became of the records of the load.");
  const Counts& counts = report.counts;
  const auto records = [&](const char* what, std::optional<uint64_t> count) {
    if (count) metrics.sample(fmt::format("outcome=\"{}\"", what), static_cast<double>(*count));
  };
  records("sent", counts.sent);
  records("acknowledged", counts.acked);
  records("failed", counts.failed);
  records("unknown", counts.unknown);
  records("lost", counts.lost);
  records("duplicated", counts.duplicated);
  records("reordered", counts.reordered);
  records("damaged", counts.damaged);
  metrics.family("drill_recovery_bytes", "bytes", "Bytes that the failover moved.");
  const auto bytes = [&](const char* what, std::optional<int64_t> count) {
    if (count) metrics.sample(fmt::format("what=\"{}\"", what), static_cast<double>(*count));
  };
  bytes("read", report.recovery.bytes_read);
  bytes("written", report.recovery.bytes_written);
  bytes("historical", report.recovery.historical_bytes_copied);
  return std::move(metrics).end();
}

}  // namespace paceline::judge
