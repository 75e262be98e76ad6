#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace paceline::probe {

// A library that cannot reach a broker says so many times a second. The same error of one client
// is told once a second, with how often it was meant. Pure.
class Complaints {
 public:
  // How often it happened since it was last told, this time included; nothing: not now.
  std::optional<int64_t> tell(const std::string& client, const std::string& error, int64_t now_ns) {
    if (said_.size() >= kMax && !said_.contains({client, error})) said_.clear();
    auto [found, first] = said_.try_emplace({client, error}, Said{now_ns, 0});
    Said& said = found->second;
    ++said.count;
    if (!first && now_ns - said.at_ns < kEachNs) return std::nullopt;
    const int64_t count = said.count;
    said = {now_ns, 0};
    return count;
  }

 private:
  static constexpr int64_t kEachNs = 1'000'000'000;
  static constexpr size_t kMax = 10'000;
  struct Said {
    int64_t at_ns;
    int64_t count;
  };
  std::map<std::pair<std::string, std::string>, Said> said_;
};

}  // namespace paceline::probe
