#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "judge/model.h"

namespace paceline::judge {

// The scorecard's limits: the one table, with what a plan sets otherwise. At most `green` is green,
// at most `amber` is amber, more is red.
class Limits {
 public:
  explicit Limits(const std::map<std::string, double>& set) : set_(set) {}

  // A row's figure of a measured value; grey if there is none.
  Figure judge(std::string_view name, std::optional<double> value,
               std::optional<uint64_t> samples = {}) const;
  // Of what has lasted so long and was not seen to end: grey, while it may still be green.
  State at_least(std::string_view name, double value) const;
  // REQUIRES: it is in the table.
  double green(std::string_view name) const;
  double amber(std::string_view name) const;

 private:
  double limit(std::string_view name, double otherwise) const;
  std::map<std::string, double> set_;  // `<name>` green, `<name>_amber` amber
};

// "5 s", "0.5", "12 requests": a number with its unit, short.
std::string in_words(double value, std::string_view unit);

}  // namespace paceline::judge
