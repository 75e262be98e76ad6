#include "base/check.h"
#include "object/s3_location.h"
#include "object/s3_profile.h"
#include "object/s3_sources.h"

using namespace paceline;
using namespace paceline::object;

// URLs, AWS files and the JSON of metadata services.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  if (auto location = parse_s3_url(text, {})) {
    CHECK(!location->bucket.empty() && !location->host.empty() && !location->region.empty());
    CHECK(location->redacted().find('\n') == std::string::npos ||
          text.find("%0") != std::string::npos || text.find('\n') != std::string::npos);
  }
  if (auto decoded = url_decode(text)) CHECK(*url_decode(url_encode(*decoded, true)) == *decoded);
  (void)parse_endpoint(text);
  (void)parse_profiles(text, true);
  (void)parse_profiles(text, false);
  (void)parse_metadata_credentials(text, "fuzz");
  return 0;
}
