#include <algorithm>

#include "net/http_answer.h"

using paceline::net::HttpAnswerParser;

namespace {

// As a connection does it: into the place that the parser names.
paceline::Result<bool> fill(HttpAnswerParser& parser, std::string_view text) {
  paceline::Result<bool> whole = false;
  while (!text.empty() && whole && !*whole) {
    const auto space = parser.space();
    const size_t count = std::min(space.size(), text.size());
    std::copy_n(paceline::as_bytes(text).data(), count, space.data());
    whole = parser.filled(count);
    text.remove_prefix(count);
  }
  return whole;
}

}  // namespace

// However the bytes are cut into pieces, the outcome is the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + bytes[0] % 7;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  HttpAnswerParser at_once(false);
  const auto whole = at_once.add(text);
  HttpAnswerParser in_steps(false);
  paceline::Result<bool> last = false;
  for (size_t at = 0; at < text.size() && last && !*last; at += step)
    last = fill(in_steps, text.substr(at, step));
  if (whole && *whole) {
    CHECK(last && *last);
    CHECK(at_once.take().text() == in_steps.take().text());
  }
  return 0;
}
