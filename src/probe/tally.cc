#include "probe/tally.h"

namespace paceline::probe {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

}  // namespace

void Tally::count(const evidence::LedgerRow& row) {
  using Kind = evidence::LedgerRow::Kind;
  if (row.kind == Kind::sent) ++sent_;
  if (row.kind != Kind::acked && row.kind != Kind::failed && row.kind != Kind::unknown) return;
  const bool error = row.kind != Kind::acked;
  ++(error ? failed_ : acked_);
  const int64_t second = row.at_ns / kSecondNs;
  Second& counted = seconds_[static_cast<uint64_t>(second) % kSeconds];
  if (counted.of > second) return;  // a client outside tells late
  if (counted.of < second) counted = {.of = second};
  ++counted.answers;
  if (error) ++counted.errors;
}

double Tally::errors_share(int64_t now_ns) const {
  uint64_t answers = 0, errors = 0;
  for (const Second& second : seconds_) {
    if (second.of <= now_ns / kSecondNs - kSeconds) continue;
    answers += second.answers;
    errors += second.errors;
  }
  return answers == 0 ? 0 : static_cast<double>(errors) / static_cast<double>(answers);
}

}  // namespace paceline::probe
