#include "judge/dimensions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "judge/limits.h"

namespace paceline::judge {
namespace {

Dimension dimension(std::string name, std::vector<Finding> findings) {
  Dimension result{std::move(name), State::grey, std::move(findings)};
  if (result.findings.empty()) {
    result.findings.push_back({"no evidence in this run", State::grey, {}});
    return result;
  }
  result.state = State::green;
  for (const Finding& finding : result.findings) result.state = worse(result.state, finding.state);
  return result;
}

std::vector<Finding> compatibility(const Dossier& dossier) {
  struct Told {
    uint64_t clients = 0, errors = 0, fatal = 0;
    std::vector<std::string> events;
  };
  std::map<std::string, Told> kinds;
  std::map<std::string, std::string> kind_of;  // by the client's name
  for (const auto& client : dossier.run.clients) {
    const std::string kind = fmt::format(
        "{} {} as {}", client.library.empty() ? "?" : client.library, client.version, client.kind);
    ++kinds[kind].clients;
    kind_of[client.name] = kind;
  }
  for (const evidence::Event* event : dossier.all("client.error")) {
    const auto kind = kind_of.find(event->client_id);
    if (kind == kind_of.end()) continue;
    Told& told = kinds[kind->second];
    ++told.errors;
    if (!event->flag("fatal").value_or(false)) continue;
    ++told.fatal;
    told.events.push_back(event->event_id);
  }
  std::vector<Finding> findings;
  for (const auto& [kind, told] : kinds)
    findings.push_back(
        {fmt::format("{}: {} client{}, {} errors told, {} of them fatal", kind, told.clients,
                     told.clients == 1 ? "" : "s", told.errors, told.fatal),
         told.fatal > 0 ? State::red : State::green, told.events});
  return findings;
}

std::vector<Finding> of_row(const Report& report, std::string_view id) {
  const auto row = std::ranges::find(report.scorecard, id, &Row::id);
  if (row == report.scorecard.end()) return {};
  std::vector<Finding> findings;
  for (const Figure& figure : row->figures) {
    if (figure.state == State::grey && !figure.required) continue;
    findings.push_back({fmt::format("{}: {}", figure.name,
                                    figure.value ? in_words(*figure.value, figure.unit)
                                                 : std::string("not observed")),
                        figure.state, figure.events});
  }
  return findings;
}

std::vector<Finding> cost(const Report& report) {
  const Recovery& work = report.recovery;
  std::vector<Finding> findings;
  if (work.bytes_read)
    findings.push_back({fmt::format("{} bytes were read to recover", *work.bytes_read),
                        State::green, work.events});
  if (work.usd)
    findings.push_back({fmt::format("its requests cost {:.6f} USD at {}", *work.usd, work.prices),
                        State::green, work.events});
  for (Finding& finding : of_row(report, "storage"))
    if (finding.state != State::green) findings.push_back(std::move(finding));
  return findings;
}

std::vector<Finding> fault_recovery(const Report& report) {
  std::vector<Finding> findings;
  for (const NegativeTest& test : report.negative)
    if (test.measured != "did not run")
      findings.push_back(
          {fmt::format("{} {}: {}", test.id, test.name, test.measured), test.state, test.events});
  return findings;
}

// A run knows one cluster; the risk of going to another one lies in the difference.
std::vector<Finding> migration(const Dossier& dossier) {
  std::vector<Finding> findings;
  findings.push_back({fmt::format("only {} was drilled: the same plan on the other cluster, and "
                                  "`paceline drill compare` of both, tell what a move risks",
                                  dossier.run.target.name.empty() ? std::string("one cluster")
                                                                  : dossier.run.target.name),
                      State::grey,
                      {}});
  Finding way_back{"no way back was tried in this run", State::grey, {}};
  for (const evidence::Event* event : dossier.all("rollback.done")) {
    way_back.text = "the way back was tried: leaders as before";
    const bool equal = event->flag("equal").value_or(false);
    way_back.state = worse(way_back.events.empty() ? State::green : way_back.state,
                           equal ? State::green : State::red);
    if (way_back.state == State::red)
      way_back.text = "the way back was tried, and did not lead there";
    way_back.events.push_back(event->event_id);
  }
  findings.push_back(std::move(way_back));
  return findings;
}

std::vector<Finding> team(const Dossier& dossier) {
  std::vector<Finding> findings;
  for (const auto& step : dossier.run.plan.steps)
    findings.push_back({step.owner.empty()
                            ? fmt::format("step {} has no owner", step.id)
                            : fmt::format("step {} is owned by {}", step.id, step.owner),
                        step.owner.empty() ? State::red : State::green,
                        {}});
  return findings;
}

}  // namespace

std::vector<Dimension> dimensions_of(const Dossier& dossier, const Report& report) {
  return {dimension("compatibility", compatibility(dossier)),
          dimension("cost", cost(report)),
          dimension("elasticity", of_row(report, "capacity")),
          dimension("governance", of_row(report, "governance")),
          dimension("fault recovery", fault_recovery(report)),
          dimension("migration risk", migration(dossier)),
          dimension("team boundary", team(dossier))};
}

}  // namespace paceline::judge
