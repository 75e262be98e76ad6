#include "server/stale_metadata.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "meta/records.h"

namespace paceline::server {
namespace {

// The lane of a folder of the WAL: "<broker>.<incarnation>", decimal.
std::optional<Lane> lane_of_log(std::string_view name) {
  Lane lane;
  const char* end = name.data() + name.size();
  const auto broker = std::from_chars(name.data(), end, lane.broker.value);
  if (broker.ec != std::errc() || broker.ptr == end || *broker.ptr != '.') return std::nullopt;
  const auto incarnation = std::from_chars(broker.ptr + 1, end, lane.incarnation.value);
  if (incarnation.ec != std::errc() || incarnation.ptr != end) return std::nullopt;
  return lane;
}

// The lane of a folder of objects: as in the keys of the metadata.
std::optional<Lane> lane_of_objects(std::string_view name) {
  const auto key = meta::parse_lane_key("lanes/" + std::string(name));
  return key ? std::optional(key->lane) : std::nullopt;
}

struct Found {
  Lane lane;
  std::string path;
};

// The newest lane of each broker that left something in the folder.
Result<std::map<BrokerId, Found>> newest_lanes(env::Disk& disk, const std::string& folder) {
  std::map<BrokerId, Found> newest;
  const std::pair<std::string, std::optional<Lane> (*)(std::string_view)> places[] = {
      {folder + "/wal", lane_of_log}, {folder + "/objects/objects", lane_of_objects}};
  for (const auto& [path, lane_of] : places) {
    const auto names = disk.list(path);
    if (!names && names.error().code == Code::not_found) continue;
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
      const auto lane = lane_of(name);
      if (!lane) continue;
      Found& found = newest[lane->broker];
      if (found.path.empty() || found.lane < *lane) found = {*lane, path + "/" + name};
    }
  }
  return newest;
}

}  // namespace

Result<void> refuse_missing_metadata(env::Disk& disk, const std::string& folder) {
  TRY(const bool there, disk.exists(folder + "/metadata.sqlite"));
  if (there) return {};
  for (const char* name : {"wal", "objects"}) {
    const std::string path = fmt::format("{}/{}", folder, name);
    const auto names = disk.list(path);
    if (names && !names->empty())
      return fail(
          Code::corrupt,
          fmt::format("{}/metadata.sqlite is missing, but {} holds data: restore the file, or "
                      "choose an empty folder",
                      folder, path));
  }
  return {};
}

Task<Result<void>> refuse_stale_metadata(env::Shard& shard, meta::Store& metadata,
                                         std::string folder) {
  auto finding = [&disk = shard.disk(), folder] { return newest_lanes(disk, folder); };
  CO_TRY(auto newest, co_await env::offload(shard, finding));
  for (const auto& [broker, found] : newest) {
    CO_TRY(auto entry, co_await metadata.get(shard, meta::broker_key(broker)));
    Incarnation known;
    if (entry) {
      CO_TRY(auto record, meta::decode<meta::BrokerRecord>(entry->value));
      known = record.incarnation;
    }
    if (found.lane.incarnation <= known) continue;
    co_return fail(
        Code::corrupt,
        fmt::format("{0}/metadata.sqlite is older than the data: there is {1}, of incarnation {2} "
                    "of broker {3}, and the metadata know {4}; restore the newest metadata.sqlite "
                    "together with its metadata.sqlite-wal",
                    folder, found.path, found.lane.incarnation.value, broker.value, known.value));
  }
  co_return Result<void>{};
}

}  // namespace paceline::server
