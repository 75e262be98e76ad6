#include "base/check.h"
#include "evidence/ledger.h"

// A ledger, and the same bytes as a record: what was read is written again as it was.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::evidence;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (const auto ledger = parse_ledger(input)) {
    std::string again = ledger_header();
    for (const LedgerRow& row : ledger->rows) append_row(row, again);
    const auto parsed = parse_ledger(again);
    CHECK(parsed && parsed->rows.size() == ledger->rows.size() && parsed->damaged_rows == 0);
  }
  if (const auto payload = decode_payload(input)) {
    const auto again = decode_payload(encode_payload(*payload, size));
    CHECK(again && again->run_id == payload->run_id && again->seq == payload->seq);
  }
  return 0;
}
