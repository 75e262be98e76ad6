#include "base/check.h"
#include "base/endian.h"
#include "protocol/header.h"
#include "protocol/probe.h"

// The first four bytes choose API key and version, the rest is a request body. What decodes must
// encode and decode to the same again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline;
  using namespace paceline::protocol;
  static const std::vector<Probe> all = probes();
  const Bytes input(reinterpret_cast<const std::byte*>(bytes), size);
  Cursor header(input);
  (void)decode_request_header(header);
  if (size < 4) return 0;
  const auto key = load_be<uint16_t>(input.data());
  const auto choice = load_be<uint16_t>(input.data() + 2);
  size_t requests = 0;
  for (const Probe& probe : all) requests += probe.kind == Kind::request;
  size_t skip = key % requests;
  for (const Probe& probe : all) {
    if (probe.kind != Kind::request || skip-- > 0) continue;
    const int versions = probe.version_max - probe.version_min + 1;
    const auto version = static_cast<int16_t>(probe.version_min + choice % versions);
    auto seen = probe.look(version, input.subspan(4));
    if (!seen) {
      CHECK(seen.error().code == Code::corrupt);  // a decoded message could not be encoded
      return 0;
    }
    CHECK(seen->stable);
    return 0;
  }
  return 0;
}
