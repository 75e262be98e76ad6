#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "evidence/event.h"

namespace paceline::probe {

// The smallest value that so large a share of all are not above; nothing without values. Pure.
std::optional<int64_t> percentile(std::vector<int64_t> values, double share);

// What bystanders feel of the probes: how long their records took with the probes at rest, and
// beside them. Pure.
class Overhead {
 public:
  enum class Beside { nobody, probes };
  void begin(Beside beside) { now_ = beside; }
  void end() { now_.reset(); }
  void took(int64_t latency_ns);
  // Adds value and figures of `overhead.measured`: the ratio of the two p99, where there are
  // samples enough of both, and between what bounds chance puts the one or the other (95 %).
  void tell(evidence::Event& event) const;

 private:
  static constexpr size_t kSamplesMax = 1'000'000;
  std::optional<Beside> now_;
  std::vector<int64_t> without_, with_;
};

}  // namespace paceline::probe
