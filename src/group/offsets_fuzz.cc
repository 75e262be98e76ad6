#include "group/group_core.h"
#include "group/image.h"
#include "group/subscription.h"

// Bytes nobody trusts: keys, values of every version, snapshots, subscriptions. What is accepted is
// written again and read back the same.

using namespace paceline;
using namespace paceline::group;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (auto key = decode_key(input)) {
    const std::string bytes = std::visit([](const auto& known) { return encode_key(known); }, *key);
    CHECK(decode_key(bytes) == key);
  }
  if (auto value = decode_offset(input, false);
      value && value->metadata->size() <= kStringBytesMax) {
    if (value->expire_at_ms < 0) value->expire_at_ms = -1;
    if (value->expire_at_ms >= 0) value->leader_epoch = Epoch(-1);
    const Record record = encode_offset(OffsetKey{"g", {"t", 0}}, *value);
    CHECK(decode_offset(*record.value, record.null_metadata) == value);
  }
  if (auto value = decode_group(input)) {
    const Record record = encode_group("g", *value);
    CHECK(decode_group(*record.value) == value);
    Options options;
    GroupCore core("g", options, &*value, Now{});
    core.wake(Now{1'000'000'000'000, 0});
  }
  parse_subscribed_topics(input);
  Image image;
  if (image.restore(input)) {
    const std::string snapshot = image.snapshot(Offset(0));
    Image again;
    CHECK(again.restore(snapshot) && again.groups() == image.groups());
  }
  return 0;
}
