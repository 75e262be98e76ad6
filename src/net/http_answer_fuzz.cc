#include "net/http_client.h"

using paceline::net::HttpAnswerParser;

// However the bytes are cut into pieces, the outcome is the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + bytes[0] % 7;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  HttpAnswerParser at_once;
  const auto whole = at_once.add(text);
  HttpAnswerParser in_steps;
  paceline::Result<bool> last = false;
  for (size_t at = 0; at < text.size() && last && !*last; at += step)
    last = in_steps.add(text.substr(at, step));
  if (whole && *whole) {
    CHECK(last && *last);
    CHECK(at_once.take().body == in_steps.take().body);
  }
  return 0;
}
