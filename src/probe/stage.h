#pragma once

#include "probe/complaints.h"
#include "probe/lag_book.h"
#include "probe/roster.h"
#include "probe/tally.h"
#include "probe/teller.h"

namespace paceline::probe {

// What all players of one load share. One shard's.
struct Stage {
  Stage(env::Shard& on, Options with, Witness witness)
      : shard(on), options(std::move(with)), teller(on, std::move(witness)), roster(teller) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  env::Shard& shard;
  const Options options;
  Teller teller;
  Roster roster;
  Tally tally;
  LagBook lag;
  Complaints complaints;
  int64_t errors = 0;  // that libraries have told of

  // A row for the ledger and for whoever counts.
  void row(const evidence::LedgerRow& row) {
    tally.count(row);
    if (row.kind == evidence::LedgerRow::Kind::acked)
      lag.acknowledged({row.topic, row.partition}, row.offset);
    teller.row(row);
  }
  // Of a record that we have given up ourselves.
  void row_given_up(const evidence::LedgerRow& row) {
    tally.given_up();
    teller.row(row);
  }
  // What a library says went wrong.
  void complain(const std::string& source, const std::string& client, const std::string& error,
                const std::string& text, bool fatal) {
    ++errors;
    const auto count = complaints.tell(client, error, teller.now_ns());
    if (!count && !fatal) return;
    auto event = teller.now(source, "client", "client.error");
    event.client_id = client;
    event.figures = {
        {"error", error}, {"text", text}, {"fatal", fatal}, {"count", count.value_or(1)}};
    teller.event(std::move(event));
  }
};

}  // namespace paceline::probe
