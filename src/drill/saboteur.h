#pragma once

#include <functional>
#include <string_view>

#include "evidence/ledger.h"

namespace paceline::drill {

// N8: what the load saw is falsified on its way to the ledger, so that a drill which cannot see a
// loss or a duplicate is found out.
class Saboteur {
 public:
  using Sink = std::function<void(const evidence::LedgerRow&)>;
  // `what`: "drop-ack", "double-record", both with a comma between them, or nothing.
  Saboteur(std::string_view what, Sink to);
  void row(const evidence::LedgerRow& row);

 private:
  bool is_victim(const evidence::LedgerRow& row) const;

  const bool drops_, doubles_;
  const Sink to_;
  uint64_t acked_ = 0;
  bool doubled_ = false;
  bool chosen_ = false;
  evidence::LedgerRow victim_;  // whose record is never read
};

}  // namespace paceline::drill
