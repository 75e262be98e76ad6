#include "rules.h"

#include <algorithm>
#include <array>
#include <utility>

namespace paceline::proxy {
namespace {

using Json = nlohmann::json;

constexpr size_t kPutsMax = 200'000;

constexpr std::array<std::pair<const char*, Fault>, 10> kFaults{{{"answer", Fault::answer},
                                                                 {"reset", Fault::reset},
                                                                 {"lose", Fault::lose},
                                                                 {"late", Fault::late},
                                                                 {"hang", Fault::hang},
                                                                 {"cut", Fault::cut},
                                                                 {"truncate", Fault::truncate},
                                                                 {"flip", Fault::flip},
                                                                 {"swap", Fault::swap},
                                                                 {"forget", Fault::forget}}};

Fault fault_of(const std::string& name) {
  const auto* found = std::ranges::find(kFaults, name, [](const auto& one) { return one.first; });
  return found == kFaults.end() ? Fault::none : found->second;
}

// Takes what `rule` knows out of `from`; false if something is left that nobody knows.
bool take(Json from, Rule& rule) {
  const auto read = [&](const char* name, auto& into) {
    if (!from.contains(name)) return;
    from.at(name).get_to(into);
    from.erase(name);
  };
  read("fault", rule.fault);
  read("kind", rule.kind);
  read("method", rule.method);
  read("key", rule.key);
  read("p", rule.p);
  read("skip", rule.skip);
  read("times", rule.times);
  read("younger_ms", rule.younger_ms);
  read("ms", rule.ms);
  read("share", rule.share);
  read("status", rule.status);
  read("code", rule.code);
  read("retry_after_s", rule.retry_after_s);
  return from.empty();
}

}  // namespace

std::optional<std::string> Rules::set(const Json& rules, uint64_t seed) {
  std::vector<Rule> made;
  bool wants_puts = false;
  try {
    for (const Json& one : rules) {
      Rule rule;
      if (!take(one, rule)) return "a rule has a field that nobody knows: " + one.dump();
      if (rule.fault != "delay" && rule.fault != "hold" && fault_of(rule.fault) == Fault::none)
        return "there is no fault '" + rule.fault + "'";
      rule.noise.seed(seed * 1000 + made.size());
      wants_puts |= rule.younger_ms > 0;
      made.push_back(std::move(rule));
    }
  } catch (const Json::exception& error) {
    return std::string(error.what());
  }
  rules_ = std::move(made);
  if (!wants_puts) put_ms_.clear();
  wants_puts_ = wants_puts;
  return std::nullopt;
}

Json Rules::told() const {
  Json told = Json::array();
  for (const Rule& rule : rules_)
    told.push_back({{"fault", rule.fault},
                    {"kind", rule.kind},
                    {"key", rule.key},
                    {"matched", rule.matched},
                    {"fired", rule.fired}});
  return told;
}

Verdict Rules::judge(const Asked& asked, const std::string& method, uint64_t now_ms) {
  Verdict verdict;
  for (Rule& rule : rules_) {
    if (!matches(rule, asked, method, now_ms)) continue;
    // Every match draws, fired or not, so that what fires hangs on the order of requests alone.
    const uint64_t drawn = rule.noise();
    const bool lucky = static_cast<double>(drawn >> 11) * 0x1p-53 < rule.p;
    ++rule.matched;
    if (rule.matched <= rule.skip || !lucky || (rule.times >= 0 && rule.fired >= rule.times))
      continue;
    if (rule.fault == "delay" || rule.fault == "hold") {
      (rule.fault == "delay" ? verdict.delay_ms : verdict.hold_ms) += rule.ms;
    } else if (verdict.fault == Fault::none) {
      verdict.fault = fault_of(rule.fault);
      verdict.action = rule;
      verdict.random = rule.noise();
    } else {
      continue;  // one fault a request
    }
    ++rule.fired;
  }
  return verdict;
}

bool Rules::matches(Rule& rule, const Asked& asked, const std::string& method,
                    uint64_t now_ms) const {
  if (!rule.kind.empty() && rule.kind != asked.kind) return false;
  if (!rule.method.empty() && rule.method != method) return false;
  if (!rule.key.empty() && asked.key.find(rule.key) == std::string::npos) return false;
  if (rule.younger_ms == 0) return true;
  const auto put = put_ms_.find(asked.key);
  return put != put_ms_.end() && now_ms - put->second < rule.younger_ms;
}

bool Rules::has(Fault fault) const {
  return std::ranges::any_of(rules_,
                             [&](const Rule& rule) { return fault_of(rule.fault) == fault; });
}

void Rules::note_put(const std::string& key, uint64_t now_ms) {
  if (!wants_puts_) return;
  if (put_ms_.size() >= kPutsMax) put_ms_.clear();
  put_ms_[key] = now_ms;
}

}  // namespace paceline::proxy
