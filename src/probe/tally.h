#pragma once

#include <array>
#include <cstdint>

#include "evidence/ledger.h"

namespace paceline::probe {

// How many records there are of each kind, and how many answers of the last ten seconds were
// errors. Pure.
class Tally {
 public:
  void count(const evidence::LedgerRow& row);
  // It was given up by ourselves, which is no error of the cluster's.
  void given_up() { ++failed_; }
  uint64_t sent() const { return sent_; }
  uint64_t acked() const { return acked_; }
  uint64_t failed() const { return failed_; }  // and those of which nothing is known
  double errors_share(int64_t now_ns) const;

 private:
  struct Second {
    int64_t of = -1;
    uint64_t answers = 0, errors = 0;
  };
  static constexpr int64_t kSeconds = 10;

  uint64_t sent_ = 0, acked_ = 0, failed_ = 0;
  std::array<Second, kSeconds> seconds_{};
};

}  // namespace paceline::probe
