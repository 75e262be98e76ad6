#include "probe/transfer_book.h"

namespace paceline::probe {

void TransferBook::wrote(const Row& row) {
  const Name name = name_of(row);
  const Part part{row.topic, row.partition};
  if (row.kind == Row::Kind::sent) {
    legs_[name] = {.amount = row.amount, .intended_ns = row.intended_ns};
    by_time_.emplace(row.intended_ns, name);
    return;
  }
  const auto leg = legs_.find(name);
  if (leg == legs_.end()) return;  // it was read before the answer came
  switch (row.kind) {
    case Row::Kind::acked:
      leg->second.acked = true;
      leg->second.offset = row.offset;
      ++acked_unread_;
      if (row.offset < 0) return;
      by_offset_[part][row.offset] = name;
      pass_over(part, positions_[part]);
      return;
    case Row::Kind::unknown:
      leg->second.open = false;
      by_time_.erase({leg->second.intended_ns, name});
      return;
    default:
      close(leg);
  }
}

void TransferBook::read(const Row& row) {
  const Part part{row.topic, row.partition};
  int64_t& position = positions_[part];
  if (row.offset < position) return;  // the very same record again is the reader's own doing
  position = row.offset + 1;
  sum_ += row.amount;
  balances_[row.key] += row.amount;
  const auto leg = legs_.find(name_of(row));
  if (leg != legs_.end()) {
    expected_ += leg->second.amount;
    close(leg);
  }
  pass_over(part, position);
}

// The reader is further than records that were acknowledged and that it has not seen: they count
// for what should be there, and are missing from what is.
void TransferBook::pass_over(Part part, int64_t position) {
  auto& offsets = by_offset_[part];
  while (!offsets.empty() && offsets.begin()->first < position) {
    const auto leg = legs_.find(offsets.begin()->second);
    expected_ += leg->second.amount;
    close(leg);
  }
}

void TransferBook::close(Legs::iterator leg) {
  const auto& [name, what] = *leg;
  by_time_.erase({what.intended_ns, name});
  if (what.acked) --acked_unread_;
  if (what.offset >= 0) by_offset_[std::get<1>(name)].erase(what.offset);
  legs_.erase(leg);
}

std::optional<int64_t> TransferBook::oldest_ns() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

int64_t TransferBook::balance(uint32_t account) const {
  const auto found = balances_.find(account);
  return found == balances_.end() ? 0 : found->second;
}

}  // namespace paceline::probe
