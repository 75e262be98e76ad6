#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "meta/records.h"

namespace {

using namespace paceline;

// What decodes must encode to bytes that decode to the same bytes again.
template <class Record>
void check(std::string_view value) {
  auto record = meta::decode<Record>(value);
  if (!record) {
    CHECK(record.error().code == Code::corrupt || record.error().code == Code::unsupported);
    return;
  }
  const std::string once = meta::encode(*record);
  auto again = meta::decode<Record>(once);
  CHECK(again.has_value());
  CHECK(meta::encode(*again) == once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The checksum is put right, or nothing behind it would ever be reached.
  std::string value(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::byte checksum[4];
  store_be(checksum, crc32c(as_bytes(value)));
  value.append(reinterpret_cast<const char*>(checksum), sizeof checksum);
  switch (data[0] % 11) {
    case 0:
      check<meta::ClusterRecord>(value);
      break;
    case 1:
      check<meta::BrokerRecord>(value);
      break;
    case 2:
      check<meta::LaneRecord>(value);
      break;
    case 3:
      check<meta::ObjectRecord>(value);
      break;
    case 4:
      check<meta::DoneRecord>(value);
      break;
    case 5:
      check<meta::DeletedRecord>(value);
      break;
    case 6:
      check<meta::PageRecord>(value);
      break;
    case 7:
      check<meta::TopicRecord>(value);
      break;
    case 8:
      check<meta::ConfigRecord>(value);
      break;
    case 9:
      check<meta::ProducerIdsRecord>(value);
      break;
    default:
      (void)meta::parse_lane_key(std::string_view(value).substr(0, size - 1));
  }
  return 0;
}
