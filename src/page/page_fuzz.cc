#include "base/check.h"
#include "page/page.h"

// A report from a file: a page, or a refusal that says why. What is text in it opens no script.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::page;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const auto page = render(input);
  if (!page) {
    CHECK(!page.error().message.empty());
    return 0;
  }
  size_t scripts = 0;
  for (size_t at = page->find("<script"); at != std::string::npos;
       at = page->find("<script", at + 1))
    ++scripts;
  CHECK(scripts == 2);
  CHECK(render_comparison(input, input));
  return 0;
}
