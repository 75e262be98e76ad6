#include "probe/storm_book.h"

#include "probe/overhead.h"

namespace paceline::probe {

StormBook::StormBook(int64_t began_ns, std::vector<std::string> clients)
    : began_ns_(began_ns), clients_(std::move(clients)) {}

void StormBook::back(const std::string& client, int64_t at_ns) {
  took_ns_.try_emplace(client, at_ns - began_ns_);
}

void StormBook::tell(evidence::Event& event, int64_t errors, int64_t now_ns) const {
  constexpr double kMsNs = 1e6;
  std::vector<int64_t> took;
  int64_t lost = 0;
  for (const std::string& client : clients_) {
    const auto found = took_ns_.find(client);
    if (found == took_ns_.end()) ++lost;
    took.push_back(found == took_ns_.end() ? now_ns - began_ns_ : found->second);
  }
  const auto ms = [&](double share) {
    return static_cast<double>(percentile(took, share).value_or(0)) / kMsNs;
  };
  event.value = ms(1);
  event.unit = "ms";
  event.figures["clients"] = static_cast<int64_t>(clients_.size());
  event.figures["errors"] = errors;
  event.figures["lost"] = lost;
  event.figures["p50_ms"] = ms(0.5);
  event.figures["p99_ms"] = ms(0.99);
}

}  // namespace paceline::probe
