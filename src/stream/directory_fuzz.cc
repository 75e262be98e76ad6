#include <cstdint>

#include "stream/directory.h"
#include "stream/object_format.h"

// Directories from bytes nobody trusts, with a checksum that holds.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::stream;
  const ObjectId id{Lane{BrokerId(0), Incarnation(0)}, 0};
  Encoder sealed;
  sealed.raw(Bytes(reinterpret_cast<const std::byte*>(data), size));
  close_section(sealed);
  const auto directory = decode_directory(id, sealed.bytes());
  if (!directory) return 0;
  for (const DirectoryRecord& record : directory->records) {
    const auto found = find_in_directory(id, sealed.bytes(), record.stream);
    CHECK(found && *found && **found == record);
  }
  return 0;
}
