#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace paceline::server {

// Prometheus' text form, as it grows.
class PrometheusText {
 public:
  void describe(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <class Number>
  void value(std::string_view name, std::string_view labels, Number number) {
    if (labels.empty()) {
      out_ += fmt::format("{} {}\n", name, number);
    } else {
      out_ += fmt::format("{}{{{}}} {}\n", name, labels, number);
    }
  }
  template <class Number>
  void one(std::string_view name, std::string_view type, std::string_view help, Number number) {
    describe(name, type, help);
    value(name, "", number);
  }
  // Of durations in powers of two microseconds; the last bucket has no bound.
  template <class Buckets>
  void histogram(std::string_view name, std::string_view labels, const Buckets& buckets,
                 uint64_t sum_us) {
    uint64_t cumulative = 0;
    for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
      cumulative += buckets[bucket];
      const std::string bound = bucket + 1 == buckets.size()
                                    ? "+Inf"
                                    : fmt::format("{}", static_cast<double>(1ull << bucket) / 1e6);
      value(fmt::format("{}_bucket", name), fmt::format("{},le=\"{}\"", labels, bound), cumulative);
    }
    value(fmt::format("{}_sum", name), labels, static_cast<double>(sum_us) / 1e6);
    value(fmt::format("{}_count", name), labels, cumulative);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace paceline::server
