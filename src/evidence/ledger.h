#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::evidence {

// Below this many samples nobody can say what the worst of a hundred is.
inline constexpr uint64_t kSamplesForP99 = 299;

// One row of ledger.bin: docs/format/drill.md says what each field means.
struct LedgerRow {
  enum class Kind : uint8_t { sent = 1, acked, failed, unknown, read, read_back };
  static constexpr uint16_t kNone = 65535;

  Kind kind = Kind::sent;
  bool damaged = false;  // the record's bytes did not carry their checksum
  uint16_t client = 0;   // who sent it: an index into Run::clients
  uint16_t reader = kNone;
  uint16_t topic = 0;  // an index into Run::topics
  int32_t partition = 0;
  int32_t epoch = -1;
  int32_t broker = -1;
  int32_t error = 0;
  uint64_t seq = 0;
  int64_t offset = -1;
  int64_t intended_ns = 0;
  int64_t at_ns = 0;
  int64_t amount = 0;
  uint32_t key = 0;
};

inline constexpr size_t kLedgerRowBytes = 72;
// What the file begins with.
std::string ledger_header();
void append_row(const LedgerRow& row, std::string& to);

struct Ledger {
  std::vector<LedgerRow> rows;
  uint64_t damaged_rows = 0;  // whose checksum is wrong
  bool cut = false;           // in the middle of the last row
};
// corrupt: it does not begin as a ledger does.
Result<Ledger> parse_ledger(std::string_view bytes);

// What a record of the load says of itself.
struct Payload {
  std::string run_id;
  uint16_t client = 0;
  int32_t partition = 0;
  uint64_t seq = 0;
  uint32_t key = 0;
  int64_t amount = 0;
  int64_t intended_ns = 0;
};
// At least `bytes` long, padded.
std::string encode_payload(const Payload& payload, size_t bytes);
// corrupt: it is none of ours, or its checksum is wrong.
Result<Payload> decode_payload(std::string_view value);

}  // namespace paceline::evidence
