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
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace paceline::server
