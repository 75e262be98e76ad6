#include "base/check.h"
#include "probe/external_line.h"

// What a client outside prints: lines that are understood, or refused with a reason.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::probe;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  Lines lines;
  lines.add(input.substr(0, size / 2));
  lines.add(input.substr(size / 2));
  size_t all = 0;
  while (const auto line = lines.next()) {
    all += line->size();
    const auto parsed = parse_external_line(*line);
    if (!parsed) {
      CHECK(!parsed.error().message.empty());
      continue;
    }
    if (const auto* record = std::get_if<RecordLine>(&*parsed)) {
      CHECK(record->row.partition >= 0 && record->row.at_ns >= 0 && record->row.offset >= -1);
      CHECK(record->row.damaged || record->row.intended_ns >= 0);
    }
  }
  CHECK(all <= size);
  return 0;
}
