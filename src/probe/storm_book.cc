#include "probe/storm_book.h"

#include <algorithm>

#include "evidence/ledger.h"
#include "probe/overhead.h"

namespace paceline::probe {

StormBook::StormBook(int64_t began_ns, std::vector<Player> players)
    : began_ns_(began_ns), players_(std::move(players)) {}

void StormBook::back(const std::string& name, int64_t at_ns) {
  took_ns_.try_emplace(name, at_ns - began_ns_);
}

void StormBook::tell(evidence::Event& event, int64_t errors, int64_t now_ns) const {
  constexpr double kMsNs = 1e6;
  std::vector<int64_t> took;
  int64_t lost = 0, most = -1, others = 0;
  std::string slowest;
  for (const Player& player : players_) {
    const auto found = took_ns_.find(player.name);
    if (found == took_ns_.end()) ++lost;
    const int64_t ns = found == took_ns_.end() ? now_ns - began_ns_ : found->second;
    took.push_back(ns);
    if (!player.in_group) others = std::max(others, ns);
    if (ns <= most) continue;
    most = ns;
    slowest = player.name;
  }
  const auto ms = [&](double share) {
    return static_cast<double>(percentile(took, share).value_or(0)) / kMsNs;
  };
  event.value = ms(1);
  event.unit = "ms";
  event.figures["clients"] = static_cast<int64_t>(players_.size());
  event.figures["errors"] = errors;
  event.figures["lost"] = lost;
  event.figures["slowest"] = slowest;
  event.figures["without_groups_ms"] = static_cast<double>(others) / kMsNs;
  event.figures["p50_ms"] = ms(0.5);
  if (took.size() >= evidence::kSamplesForP99) event.figures["p99_ms"] = ms(0.99);
}

}  // namespace paceline::probe
