#include "net/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  auto parsed = paceline::net::parse_http_request(text);
  if (parsed && *parsed) CHECK((*parsed)->bytes <= size);
  return 0;
}
