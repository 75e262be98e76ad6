#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "evidence/ledger.h"
#include "probe/lag_book.h"

namespace paceline::probe {

// The books of the transfers. A transfer is two records, its legs: an account pays, another one
// gets as much. The reader keeps balances; what they should be follows from what was sent and what
// became of it. The two sums differ only if a record was lost, doubled, changed or made up. Pure.
class TransferBook {
 public:
  using Row = evidence::LedgerRow;

  // What the writer was told: rows of kinds sent, acked, failed and unknown.
  void wrote(const Row& row);
  // What the reader found.
  void read(const Row& row);

  int64_t sum() const { return sum_; }            // of all balances as read
  int64_t expected() const { return expected_; }  // of the legs that should have been read by now
  uint64_t behind() const { return acked_unread_; }  // acknowledged legs that are not read
  // When the oldest leg was due that is under way: neither read nor known to have failed.
  std::optional<int64_t> oldest_ns() const;
  int64_t balance(uint32_t account) const;

 private:
  // A record: who sent it, to where, as which.
  using Name = std::tuple<uint16_t, Part, uint64_t>;
  struct Leg {
    int64_t amount = 0;
    int64_t intended_ns = 0;
    int64_t offset = -1;
    bool acked = false;
    bool open = true;  // false: nobody will tell what became of it
  };
  static Name name_of(const Row& row) { return {row.client, {row.topic, row.partition}, row.seq}; }
  using Legs = std::map<Name, Leg>;
  void close(Legs::iterator leg);
  void pass_over(Part part, int64_t position);

  int64_t sum_ = 0, expected_ = 0;
  uint64_t acked_unread_ = 0;
  std::unordered_map<uint32_t, int64_t> balances_;
  Legs legs_;                                          // not read yet
  std::set<std::pair<int64_t, Name>> by_time_;         // those of them that are open
  std::map<Part, std::map<int64_t, Name>> by_offset_;  // those that are acknowledged
  std::map<Part, int64_t> positions_;
};

}  // namespace paceline::probe
