#include <cstdint>

#include "stream/log_part.h"

// Pieces of logs from bytes nobody trusts. What is accepted comes out again as it was read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::stream;
  const Slice bytes = Slice::copy_of(Bytes(reinterpret_cast<const std::byte*>(data), size));
  const auto part = decode_log_part(bytes);
  if (!part || !part->there || !part->last) return 0;
  SealedLog log;
  log.end = part->end;
  LogQuestion question;
  for (const wal::Group& group : part->groups) {
    log.groups.push_back(group);
    for (const wal::Entry& entry : group.entries) question.streams.push_back(entry.header.stream);
  }
  const auto again = decode_log_part(encode_log_part(log, question));
  CHECK(again && again->there && again->end == part->end);
  CHECK(again->groups.size() <= part->groups.size());
  if (again->last) CHECK(again->groups.size() == part->groups.size());
  for (size_t i = 0; i < again->groups.size(); ++i)
    CHECK(again->groups[i].entries.size() == part->groups[i].entries.size());
  return 0;
}
