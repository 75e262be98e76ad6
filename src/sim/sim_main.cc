#include <CLI/CLI.hpp>

#include "history/ndjson.h"
#include "sim/scenario.h"

// paceline-sim: replays one seed, or runs many. Exit code 0: every seed is good; 1: one is not.

namespace paceline::sim {
namespace {

void print_line(const Report& report) {
  fmt::print(
      "seed {:<6} {} {:6.1f} s simulated  {} power losses, {} kills, {} stops  {} batches acked, "
      "{} records read, {} commits  trace {:016x}  {}\n",
      report.seed, report.brokers == 1 ? "1 broker " : fmt::format("{} brokers", report.brokers),
      std::chrono::duration<double>(report.simulated).count(), report.crashes, report.kills,
      report.stops, report.batches_acked, report.records_read, report.commits_acked, report.trace,
      report.good() ? "good" : "BAD");
}

void print_story(const Report& report, bool told) {
  if (!told)
    for (const std::string& step : report.steps) fmt::print("  {}\n", step);
  for (const std::string& problem : report.problems) fmt::print("  problem: {}\n", problem);
  for (size_t i = 0; i < report.anomalies.size(); ++i) {
    const history::Anomaly& anomaly = report.anomalies[i];
    fmt::print("  {} in partition {}: {}\n", anomaly.name, anomaly.key, anomaly.what);
    for (const std::string& line : report.stories[i]) fmt::print("      {}\n", line);
  }
}

bool write_history(const history::History& history, const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return false;
  std::string text = history::header_line();
  for (const history::Event& event : history.events()) text += history::line_of(event, history);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

struct Totals {
  uint64_t seeds = 0;
  uint64_t bad = 0;
  uint64_t records = 0;
  uint32_t ends = 0;
  env::Duration simulated{0};
};

// False: the seed is bad, or its second run differs.
bool run_one(uint64_t seed, bool twice, RunOptions options, Totals& totals,
             const std::string& history_path = {}) {
  const Report report = run_seed(seed, options);
  print_line(report);
  if (!history_path.empty() && !write_history(report.history, history_path))
    fmt::print(stderr, "the history could not be written to {}\n", history_path);
  ++totals.seeds;
  totals.simulated += report.simulated;
  totals.records += report.records_acked;
  totals.ends += report.crashes + report.kills + report.stops;
  bool good = report.good();
  if (options.keep_log || !good) print_story(report, static_cast<bool>(options.tell));
  if (twice && run_seed(seed, {.keep_log = options.keep_log, .tell = {}}).trace != report.trace) {
    fmt::print("  the second run of seed {} has another trace\n", seed);
    good = false;
  }
  if (!good) {
    ++totals.bad;
    fmt::print("  again, with the broker's log: paceline-sim --seed {}\n", seed);
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 0;
  uint64_t seeds = 200;
  uint64_t from = 1;
  uint64_t twice = 10;
  bool clusters = false;
  bool alone = false;
  bool stop_at_first = false;
  std::string history_path;
  CLI::App app{
      "Runs a whole broker, or a cluster of them, with clients and faults in one thread, by seed."};
  auto* one = app.add_option("--seed", seed, "replay this one, with the broker's log");
  app.add_option("--history", history_path, "write what clients saw, for paceline-judge")
      ->needs(one);
  app.add_option("--seeds", seeds, "how many")->excludes(one);
  app.add_option("--from", from, "the first one")->excludes(one);
  app.add_option("--twice", twice, "how many of each kind run twice, to compare traces");
  auto* several_only =
      app.add_flag("--clusters", clusters, "pass over those with one broker")->excludes(one);
  app.add_flag("--alone", alone, "pass over those with several brokers")
      ->excludes(one)
      ->excludes(several_only);
  app.add_flag("--stop", stop_at_first, "end at the first bad seed");
  CLI11_PARSE(app, argc, argv);
  // A check of the code may end the process: what was told before is to be seen.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);

  Totals totals;
  if (*one) {
    RunOptions options{.keep_log = true, .keep_history = !history_path.empty(), .tell = {}};
    options.tell = [](std::string_view line) { fmt::print("  {}\n", line); };
    run_one(seed, true, options, totals, history_path);
  } else {
    uint64_t again[2] = {twice, twice};  // with one broker, with several
    for (uint64_t i = 0; i < seeds; ++i) {
      const bool several = has_cluster(from + i);
      if (several ? alone : clusters) continue;
      const bool repeat = again[several] > 0;
      if (repeat) --again[several];
      if (!run_one(from + i, repeat, {}, totals) && stop_at_first) break;
    }
  }
  fmt::print("{} seeds, {:.0f} s simulated, {} ends of a broker, {} records acknowledged: {} bad\n",
             totals.seeds, std::chrono::duration<double>(totals.simulated).count(), totals.ends,
             totals.records, totals.bad);
  return totals.bad == 0 ? 0 : 1;
}

}  // namespace paceline::sim

int main(int argc, char** argv) {
  return paceline::sim::main(argc, argv);
}
