#include "base/check.h"
#include "base/endian.h"
#include "protocol/header.h"
#include "protocol/probe.h"

// The first four bytes choose a response or a record of ours and its version, the rest is its
// bytes. What decodes must encode and decode to the same again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline;
  using namespace paceline::protocol;
  static const std::vector<Probe> all = [] {
    std::vector<Probe> chosen = probes();
    std::erase_if(chosen, [](const Probe& probe) { return probe.kind == Kind::request; });
    return chosen;
  }();
  if (size < 4) return 0;
  const Bytes input(reinterpret_cast<const std::byte*>(bytes), size);
  const Probe& probe = all[load_be<uint16_t>(input.data()) % all.size()];
  const auto choice = load_be<uint16_t>(input.data() + 2);
  const int versions = probe.version_max - probe.version_min + 1;
  const auto version = static_cast<int16_t>(probe.version_min + choice % versions);
  Cursor header(input.subspan(4));
  (void)decode_response_header(probe.api_key, version, header);
  auto seen = probe.look(version, input.subspan(4));
  if (!seen) {
    CHECK(seen.error().code == Code::corrupt);  // a decoded message could not be encoded
    return 0;
  }
  CHECK(seen->stable);
  return 0;
}
