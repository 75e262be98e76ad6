#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "drill/drill.h"
#include "drill/folder.h"
#include "drill/plan.h"
#include "evidence/run.h"
#include "page/page.h"

// What is done with runs that are over: list, report, compare, verify.

namespace paceline::drill {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFailed = 1, kNotFound = 3, kDiffers = 4;
constexpr uint64_t kFileBytesMax = 1ull << 30;

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "paceline: %s\n", message.c_str());
  return code;
}

int complain(const Error& error) {
  return complain(error.code == Code::not_found ? kNotFound : kFailed, error.message);
}

struct Listed {
  std::string run;
  std::string began = {}, plan = {}, target = {}, outcome = {}, verdict = {};
};

std::vector<Listed> list_runs(env::Disk& disk, const std::string& folder) {
  std::vector<Listed> all;
  for (const std::string& name : runs_in(disk, folder)) {
    Listed listed{.run = name};
    const auto text =
        env::read_file(disk, fmt::format("{}/{}/run.json", folder, name), kFileBytesMax);
    const auto run = text ? evidence::parse_run(*text) : fail(text.error());
    if (run) {
      listed.began = run->began;
      listed.plan = run->plan.name;
      listed.target = run->target.name;
      listed.outcome = run->outcome;
    } else {
      listed.outcome = run.error().message;
    }
    if (const auto report =
            env::read_file(disk, fmt::format("{}/{}/report.json", folder, name), kFileBytesMax)) {
      const Json json = Json::parse(*report, nullptr, false);
      if (json.is_object() && json.contains("verdict") && json["verdict"].is_string())
        listed.verdict = json["verdict"].get<std::string>();
    }
    all.push_back(std::move(listed));
  }
  return all;
}

std::string list_json(const std::vector<Listed>& runs) {
  Json plans = Json::array(), items = Json::array();
  for (const BuiltinPlan& plan : builtin_plans())
    plans.push_back({{"name", plan.name}, {"what", plan.what}});
  const auto word = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  for (const Listed& run : runs)
    items.push_back({{"run_id", run.run},
                     {"began", word(run.began)},
                     {"plan", word(run.plan)},
                     {"target", word(run.target)},
                     {"outcome", word(run.outcome)},
                     {"verdict", word(run.verdict)}});
  const Json document{{"api_version", "paceline/v1"},
                      {"kind", "DrillList"},
                      {"plans", std::move(plans)},
                      {"runs", std::move(items)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

void print_list(const std::vector<Listed>& runs) {
  std::printf("PLAN             WHAT\n");
  for (const BuiltinPlan& plan : builtin_plans())
    std::printf("%-16s %s\n", std::string(plan.name).c_str(), std::string(plan.what).c_str());
  if (runs.empty()) return;
  std::printf("\n%-24s %-14s %-12s %-8s %s\n", "RUN", "PLAN", "OUTCOME", "VERDICT", "TARGET");
  for (const Listed& run : runs)
    std::printf("%-24s %-14s %-12s %-8s %s\n", run.run.c_str(), run.plan.c_str(),
                run.outcome.c_str(), run.verdict.empty() ? "-" : run.verdict.c_str(),
                run.target.c_str());
}

// What is not as it was: hashes, and a verdict that does not follow from the evidence.
Result<std::vector<std::string>> differences(env::Disk& disk, const std::string& folder,
                                             judge::Derived& derived) {
  TRY(judge::Files files, read_run(disk, folder));
  std::vector<std::string> wrong = judge::check_manifest(files);
  TRY(Made made, derive(files));
  for (const char* name : {"report.json", "report.html", "junit.xml", "metrics.prom"})
    if (files[name] != made.files[name])
      wrong.push_back(fmt::format("{} is not what follows from the evidence", name));
  derived = std::move(made.derived);
  return wrong;
}

}  // namespace

Task<int> list(env::Shard& shard, std::string folder, bool json) {
  env::Disk* disk = &shard.disk();
  const auto runs =
      co_await env::offload(shard, [disk, folder] { return list_runs(*disk, folder); });
  if (json) {
    std::printf("%s\n", list_json(runs).c_str());
  } else {
    print_list(runs);
  }
  co_return 0;
}

Task<int> report(env::Shard& shard, std::string run_folder, bool json) {
  env::Disk* disk = &shard.disk();
  const auto derived =
      co_await env::offload(shard, [disk, run_folder] { return derive_in(*disk, run_folder); });
  if (!derived) co_return complain(derived.error());
  if (json) {
    std::printf("%s\n", derived->report_json.c_str());
  } else {
    std::printf("%s\n  report    %s/report.html\n", derived->screen.c_str(), run_folder.c_str());
  }
  co_return derived->exit_code;
}

Task<int> compare(env::Shard& shard, std::string left, std::string right, std::string page) {
  env::Disk& disk = shard.disk();
  const auto one = env::read_file(disk, left + "/report.json", kFileBytesMax);
  if (!one) co_return complain(one.error());
  const auto other = env::read_file(disk, right + "/report.json", kFileBytesMax);
  if (!other) co_return complain(other.error());
  const auto table = judge::compare(*one, *other);
  if (!table) co_return complain(table.error());
  std::printf("%s\n", table->c_str());
  if (page.empty()) co_return 0;
  const auto rendered = page::render_comparison(*one, *other);
  if (!rendered) co_return complain(rendered.error());
  const auto written = env::replace_file(disk, page, as_bytes(*rendered));
  if (!written) co_return complain(written.error());
  std::printf("  page      %s\n", page.c_str());
  co_return 0;
}

Task<int> verify(env::Shard& shard, std::string run_folder) {
  env::Disk* disk = &shard.disk();
  judge::Derived derived;
  judge::Derived* into = &derived;
  const auto wrong = co_await env::offload(
      shard, [disk, run_folder, into] { return differences(*disk, run_folder, *into); });
  if (!wrong) co_return complain(wrong.error());
  for (const std::string& sentence : *wrong) std::printf("WRONG: %s\n", sentence.c_str());
  std::printf("%s\n", derived.sentence.c_str());
  if (!wrong->empty()) co_return complain(kDiffers, "the folder is not what the drill left");
  std::printf("all hashes hold, and the verdict follows from the evidence\n");
  co_return 0;
}

}  // namespace paceline::drill
