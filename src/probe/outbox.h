#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "evidence/ledger.h"

namespace paceline::probe {

// What one life of a producer has sent and not heard of, and the rows of the ledger that follow
// from it. Pure.
class Outbox {
 public:
  using Row = evidence::LedgerRow;
  explicit Outbox(uint16_t client) : client_(client) {}

  struct Record {
    uint16_t topic = 0;  // an index into Run::topics
    int32_t partition = 0;
    int64_t intended_ns = 0;
    uint32_t key = 0;
    int64_t amount = 0;
  };
  // The row of this record if it is sent now.
  Row next(const Record& record, int64_t at_ns) const;
  // The number under which the answer to it comes.
  uint64_t next_number() const { return number_ + 1; }
  // It is sent. REQUIRES: next() has made the row since the last call.
  void sent(const Row& row);

  struct Answer {
    Row::Kind kind = Row::Kind::unknown;
    int64_t offset = -1;
    int32_t broker = -1;
    int32_t error = 0;
  };
  // Nothing for a number that is not waited for.
  std::optional<Row> answered(uint64_t number, const Answer& answer, int64_t at_ns);
  // Nobody will tell of the rest: it may be there.
  std::vector<Row> abandon(int64_t at_ns);

  size_t unanswered() const { return waiting_.size(); }
  // When the oldest unanswered one was to be sent.
  std::optional<int64_t> oldest_ns() const;

 private:
  const uint16_t client_;
  uint64_t number_ = 0;
  std::map<std::pair<uint16_t, int32_t>, uint64_t> next_seq_;  // by topic and partition
  std::map<uint64_t, Row> waiting_;                            // by number: in the order of sending
};

}  // namespace paceline::probe
