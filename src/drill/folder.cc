#include "drill/folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "drill/digest.h"
#include "evidence/run.h"
#include "page/page.h"

namespace paceline::drill {
namespace {

constexpr uint64_t kFileBytesMax = 4ull << 30;
constexpr const char* kEvidence[] = {"plan.toml", "run.json", "timeline.ndjson", "ledger.bin",
                                     "hooks.log"};
constexpr const char* kDerived[] = {"report.json", "report.html", "junit.xml", "metrics.prom"};
constexpr const char* kManifest = "MANIFEST.sha256";

}  // namespace

Result<judge::Files> read_run(env::Disk& disk, const std::string& folder) {
  TRY(const bool there, disk.exists(folder + "/run.json"));
  if (!there) return fail(Code::not_found, fmt::format("{} is no run of a drill", folder));
  judge::Files files;
  TRY(const auto names, disk.list(folder));
  for (const std::string& name : names) {
    auto text = env::read_file(disk, folder + "/" + name, kFileBytesMax);
    if (!text) return fail(text.error().code, fmt::format("{}: {}", name, text.error().message));
    files[name] = std::move(*text);
  }
  return files;
}

std::vector<std::string> runs_in(env::Disk& disk, const std::string& folder) {
  std::vector<std::string> runs;
  const auto names = disk.list(folder);
  if (!names) return runs;
  for (const std::string& name : *names)
    if (disk.exists(fmt::format("{}/{}/run.json", folder, name)).value_or(false))
      runs.push_back(name);
  return runs;
}

std::string last_manifest(env::Disk& disk, const std::string& folder) {
  std::vector<std::string> runs = runs_in(disk, folder);
  std::ranges::reverse(runs);
  for (const std::string& run : runs)
    if (const auto text =
            env::read_file(disk, fmt::format("{}/{}/{}", folder, run, kManifest), kFileBytesMax))
      return sha256_hex(*text);
  return {};
}

Result<Made> derive(judge::Files files) {
  for (const char* name : kDerived) files.erase(name);
  files.erase(kManifest);
  judge::Files evidence;
  for (const char* name : kEvidence)
    if (const auto found = files.find(name); found != files.end()) evidence.insert(*found);
  TRY(judge::Derived derived, judge::judge(evidence));
  TRY(const evidence::Run run, evidence::parse_run(files["run.json"]));
  TRY(files["report.html"], page::render(derived.report_json));
  files["report.json"] = derived.report_json;
  files["junit.xml"] = derived.junit_xml;
  files["metrics.prom"] = derived.metrics_prom;
  files[kManifest] = judge::manifest(files, run.previous);
  return Made{std::move(derived), std::move(files)};
}

Result<judge::Derived> derive_in(env::Disk& disk, const std::string& folder) {
  TRY(auto files, read_run(disk, folder));
  TRY(Made made, derive(std::move(files)));
  for (const char* name : kDerived)
    TRY_VOID(env::replace_file(disk, folder + "/" + name, as_bytes(made.files[name])));
  TRY_VOID(env::replace_file(disk, folder + "/" + kManifest, as_bytes(made.files[kManifest])));
  return std::move(made.derived);
}

}  // namespace paceline::drill
