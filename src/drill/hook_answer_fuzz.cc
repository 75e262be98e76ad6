#include "base/check.h"
#include "drill/hook_file.h"
#include "drill/secrets.h"

// What a hook printed, and a hook file: both come from outside.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::drill;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (const auto answer = parse_hook_answer(input)) (void)answer->why();
  const auto file = parse_hook_file(input);
  if (file) {
    CHECK(file->domains.empty() || file->verb("heal"));
  } else {
    CHECK(!file.error().empty());
  }
  const std::string shown = redact(std::string(input), {{"API_KEY", "swordfish"}});
  CHECK(shown.find("swordfish") == std::string::npos);
  return 0;
}
