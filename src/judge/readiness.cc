#include "judge/readiness.h"

#include <algorithm>

namespace paceline::judge {
namespace {

constexpr std::string_view kItems[] = {"client_behaviour",  "storage_ownership",
                                       "capacity_headroom", "failure_domain_routing",
                                       "rollback",          "observability"};

State state_of(std::string_view word) {
  for (const State state : {State::green, State::amber, State::red})
    if (word == name_of(state)) return state;
  return State::grey;
}

}  // namespace

std::vector<ReadinessRow> judge_readiness(const Dossier& dossier) {
  std::vector<ReadinessRow> rows;
  for (const evidence::Event* event : dossier.all("readiness.checked")) {
    ReadinessRow row;
    row.item = event->word("item");
    row.state = state_of(event->word("pass"));
    row.measured = event->word("measured");
    row.limit = event->word("limit");
    row.evidence = event->word("evidence");
    row.expires = event->word("expires");
    row.event = event->event_id;
    // RFC 3339 in UTC: as texts, up to the seconds.
    if (!row.expires.empty() && row.expires.substr(0, 19) < dossier.run.began.substr(0, 19)) {
      row.state = State::grey;
      row.measured += " (expired before the run)";
    }
    std::erase_if(rows, [&](const ReadinessRow& earlier) { return earlier.item == row.item; });
    rows.push_back(std::move(row));
  }
  for (const std::string_view item : kItems)
    if (std::ranges::find(rows, item, &ReadinessRow::item) == rows.end())
      rows.push_back({std::string(item), State::grey, "nobody checked it", "", "", "", ""});
  return rows;
}

}  // namespace paceline::judge
