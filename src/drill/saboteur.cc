#include "drill/saboteur.h"

namespace paceline::drill {
namespace {

using Kind = evidence::LedgerRow::Kind;

// Not the first one, which anything might have happened to.
constexpr uint64_t kVictim = 50;

}  // namespace

Saboteur::Saboteur(std::string_view what, Sink to)
    : drops_(what.find("drop-ack") != std::string_view::npos),
      doubles_(what.find("double-record") != std::string_view::npos),
      to_(std::move(to)) {}

bool Saboteur::is_victim(const evidence::LedgerRow& row) const {
  return chosen_ && row.client == victim_.client && row.topic == victim_.topic &&
         row.partition == victim_.partition && row.seq == victim_.seq;
}

void Saboteur::row(const evidence::LedgerRow& row) {
  if (row.kind == Kind::acked && ++acked_ == kVictim && drops_) {
    chosen_ = true;
    victim_ = row;
  }
  const bool read = row.kind == Kind::read || row.kind == Kind::read_back;
  if (read && is_victim(row)) return;
  to_(row);
  if (row.kind != Kind::read_back || !doubles_ || doubled_) return;
  doubled_ = true;
  evidence::LedgerRow twice = row;
  ++twice.offset;
  to_(twice);
}

}  // namespace paceline::drill
