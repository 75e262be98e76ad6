#include "app/config.h"
#include "app/properties.h"
#include "base/check.h"

// The input is a properties file, up to a byte 0x01; what follows are lines of overrides. Whatever
// it says, it is a configuration or one sentence.
namespace {

std::string file_text;

paceline::Result<std::string> read_input(const std::string&) {
  return file_text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::app;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const size_t border = std::min(input.find('\x01'), input.size());
  file_text = std::string(input.substr(0, border));
  ServeOptions options;
  options.config_files = {"f"};
  for (std::string_view rest = input.substr(std::min(border + 1, size)); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    options.overrides.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  auto config = load_config(options, read_input);
  if (config) {
    CHECK(!config->server.settings.listeners.empty());
  } else {
    CHECK(!config.error().message.empty());
  }
  auto properties = parse_properties(file_text);
  if (!properties) return 0;
  for (const Property& property : *properties) CHECK(!property.key.empty() && property.line > 0);
  return 0;
}
