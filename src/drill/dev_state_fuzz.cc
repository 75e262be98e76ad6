#include "base/check.h"
#include "drill/dev_file.h"
#include "drill/local_process.h"

// A dev.json, or a refusal; the same bytes as a line of /proc.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::drill;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (const auto look = parse_stat(input, 4096))
    CHECK(look->process.pid > 0 && look->resident_bytes >= 0);
  const auto file = parse_dev_file(input);
  if (!file) return 0;
  for (const auto& service : file->services) CHECK(service.pid >= 0);
  for (const auto* broker : file->of_role("broker"))
    CHECK(file->broker(static_cast<int32_t>(broker->number)) != nullptr);
  return 0;
}
