#include "base/check.h"
#include "object/s3_answers.h"
#include "object/s3_xml.h"

using namespace paceline;
using namespace paceline::object;

namespace {

size_t count(const XmlElement& element) {
  size_t all = 1;
  for (const XmlElement& child : element.children) all += count(child);
  return all;
}

}  // namespace

// Whatever a store answers is read or refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (auto root = parse_xml(text)) CHECK(count(*root) <= kXmlElementsMax && count(*root) <= size);
  (void)parse_s3_error(text);
  if (auto page = parse_s3_list(text))
    for (const auto& object : page->objects) CHECK(!object.key.empty());
  (void)parse_s3_deleted(text);
  (void)parse_s3_upload_id(text);
  (void)parse_s3_completed(text);
  if (auto page = parse_s3_uploads(text)) CHECK(!page->truncated || !page->next_key.empty());
  (void)parse_sts_credentials(text);
  if (auto time = parse_iso_time(text)) CHECK(size >= 20);
  return 0;
}
