#include <cstdint>

#include "base/check.h"
#include "meta/etcd.h"

// Whatever is refused is refused with a sentence; what is taken is fit to be used.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  auto options = meta::parse_etcd_url(url);
  if (!options) {
    CHECK(options.error().code == Code::invalid_argument && !options.error().message.empty());
    return 0;
  }
  CHECK(!options->endpoints.empty());
  for (const std::string& endpoint : options->endpoints)
    CHECK(endpoint.find(':') != std::string::npos && endpoint.find('@') == std::string::npos);
  CHECK(options->prefix.starts_with('/') && options->prefix.ends_with('/'));
  CHECK(options->prefix.size() >= 3 && options->prefix.size() <= 128);
  CHECK(options->password.empty());
  CHECK(options->ca_file.empty() ? options->certificate_file.empty() : true);
  return 0;
}
