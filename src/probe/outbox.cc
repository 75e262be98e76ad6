#include "probe/outbox.h"

namespace paceline::probe {

Outbox::Row Outbox::next(const Record& record, int64_t at_ns) const {
  const auto seq = next_seq_.find({record.topic, record.partition});
  Row row;
  row.kind = Row::Kind::sent;
  row.client = client_;
  row.topic = record.topic;
  row.partition = record.partition;
  row.seq = seq == next_seq_.end() ? 0 : seq->second;
  row.intended_ns = record.intended_ns;
  row.at_ns = at_ns;
  row.amount = record.amount;
  row.key = record.key;
  return row;
}

void Outbox::sent(const Row& row) {
  next_seq_[{row.topic, row.partition}] = row.seq + 1;
  waiting_.emplace_hint(waiting_.end(), ++number_, row);
}

std::optional<Outbox::Row> Outbox::answered(uint64_t number, const Answer& answer, int64_t at_ns) {
  const auto found = waiting_.find(number);
  if (found == waiting_.end()) return std::nullopt;
  Row row = found->second;
  waiting_.erase(found);
  row.kind = answer.kind;
  row.offset = answer.offset;
  row.broker = answer.broker;
  row.error = answer.error;
  row.at_ns = at_ns;
  return row;
}

std::vector<Outbox::Row> Outbox::abandon(int64_t at_ns) {
  std::vector<Row> rows;
  for (auto& [number, row] : waiting_) {
    row.kind = Row::Kind::unknown;
    row.at_ns = at_ns;
    rows.push_back(row);
  }
  waiting_.clear();
  return rows;
}

std::optional<int64_t> Outbox::oldest_ns() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->second.intended_ns;
}

}  // namespace paceline::probe
