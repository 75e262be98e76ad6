#pragma once

#include <array>
#include <string_view>

#include "object/metered.h"
#include "object/s3.h"
#include "server/prometheus.h"
#include "wal/wal.h"

namespace paceline::server {

// Why something is asked of the object store.
enum class Purpose : uint8_t { wal, upload, read, catch_up, compaction, recovery, collection };
inline constexpr std::array<std::string_view, 7> kPurposes = {
    "wal", "upload", "read", "catch_up", "compaction", "recovery", "collection"};

struct StoreTraffic {
  std::array<object::Traffic, kPurposes.size()> all;
  object::Traffic& of(Purpose purpose) { return all[static_cast<size_t>(purpose)]; }
};

// What the metrics tell of the object store; `s3` and `slots` are null where there is none.
struct StoreFigures {
  const StoreTraffic* traffic = nullptr;
  const object::S3Stats* s3 = nullptr;
  const wal::ObjectWalCounters* slots = nullptr;
};
void add_store_metrics(PrometheusText& text, const StoreFigures& figures);

}  // namespace paceline::server
