#pragma once

#include <string>

#include "probe/probe.h"

namespace paceline::probe {

// "2026-01-01T00:00:00.123Z"
std::string rfc3339(int64_t wall_ms);

// Tells the witness, until the load is over: some of its tasks end a little later than it does.
class Teller {
 public:
  Teller(env::Shard& shard, Witness witness) : shard_(shard), witness_(std::move(witness)) {}

  int64_t now_ns() const { return shard_.now().since_start.count(); }
  // An event of this moment.
  evidence::Event now(std::string source, std::string plane, std::string type) const;
  void event(evidence::Event event) const {
    if (witness_.event) witness_.event(std::move(event));
  }
  void row(const evidence::LedgerRow& row) const {
    if (witness_.row) witness_.row(row);
  }
  void be_silent() { witness_ = {}; }

 private:
  env::Shard& shard_;
  Witness witness_;
};

}  // namespace paceline::probe
