#include "broker/peer_format.h"

// What other brokers ask and answer: any bytes decode or are refused, and what decodes is encoded
// to something that decodes again.

using namespace paceline;          // NOLINT(google-build-using-namespace)
using namespace paceline::broker;  // NOLINT(google-build-using-namespace)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Slice body =
      Slice::copy_of({reinterpret_cast<const std::byte*>(data), static_cast<size_t>(size)});
  if (const auto request = decode_request(body)) CHECK(decode_request(encode(*request)));
  if (const auto answer = decode_append_answer(body)) CHECK(decode_append_answer(encode(*answer)));
  if (const auto answer = decode_fetch_answer(body)) CHECK(decode_fetch_answer(encode(*answer)));
  if (const auto answer = decode_watch_answer(body)) CHECK(decode_watch_answer(encode(*answer)));
  if (const auto answer = decode_bytes_answer(body)) CHECK(decode_bytes_answer(encode(*answer)));
  if (const auto answer = decode_load_answer(body)) CHECK(decode_load_answer(encode(*answer)));
  if (const auto answer = decode_balance_answer(body))
    CHECK(decode_balance_answer(encode(*answer)));
  if (const auto outcomes = decode_outcomes(body)) CHECK(decode_outcomes(encode(*outcomes)));
  return 0;
}
