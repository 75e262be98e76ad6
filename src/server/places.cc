#include "server/places.h"

#include <fmt/format.h>

#include "meta/etcd.h"

namespace paceline::server {
namespace {

constexpr std::string_view kFile = "file:";

Result<object::S3Options> s3_options(const Places& places) {
  object::S3Options options;
  TRY(options.location, object::parse_s3_url(places.objects, places.environment));
  options.environment = places.environment;
  if (options.location.parts_from) {
    options.multipart_bytes_min = *options.location.parts_from;
    // Two parts at least, none below what S3 takes.
    options.part_bytes =
        std::clamp(options.multipart_bytes_min / 2, uint64_t{5} << 20, options.part_bytes);
  }
  return options;
}

std::unexpected<Error> unusable(std::string_view key, const std::string& value,
                                std::string_view forms) {
  return fail(Code::invalid_argument, fmt::format("{}={}: give {}", key, value, forms));
}

// The folder of file:FOLDER; nothing if it is another form.
std::optional<std::string> folder_of(std::string_view value) {
  if (!value.starts_with(kFile) || value.size() == kFile.size()) return std::nullopt;
  return std::string(value.substr(kFile.size()));
}

}  // namespace

Result<void> check_places(const Places& places) {
  if (!places.metadata_is_local()) {
    if (!places.metadata.starts_with("etcd://"))
      return unusable("paceline.metadata", places.metadata, "etcd://HOST:2379/PREFIX, or nothing");
    TRY(auto options, meta::parse_etcd_url(places.metadata));
    (void)options;
  }
  if (places.objects.starts_with("s3://")) {
    TRY_VOID(s3_options(places));
  } else if (!places.objects.empty() && !folder_of(places.objects)) {
    return unusable("paceline.objects", places.objects,
                    "s3://BUCKET/PREFIX, file:FOLDER, or nothing");
  }
  if (!places.wal.empty() && !places.wal_is_objects() && !folder_of(places.wal))
    return unusable("paceline.wal", places.wal, "objects:, file:FOLDER, or nothing");
  return {};
}

Task<Result<std::unique_ptr<meta::Store>>> open_metadata(env::Shard& shard, env::Disk& disk,
                                                         Places places, std::string data) {
  if (places.metadata_is_local())
    co_return meta::open_sqlite_store(disk, shard, data + "/metadata.sqlite");
  CO_TRY(meta::EtcdOptions options, meta::parse_etcd_url(places.metadata));
  const auto password = places.environment.find(meta::kEtcdPasswordVariable);
  if (password != places.environment.end()) options.password = password->second;
  co_return meta::open_etcd_store(shard, std::move(options));
}

Task<Result<OpenObjects>> open_objects(env::Shard& shard, env::Disk& disk, Places places,
                                       std::string data) {
  OpenObjects opened;
  if (places.objects.starts_with("s3://")) {
    CO_TRY(object::S3Options options, s3_options(places));
    CO_TRY(auto s3, co_await object::open_s3_store(shard, std::move(options)));
    opened.s3 = s3.get();
    opened.store = std::move(s3);
    co_return opened;
  }
  const std::string folder = folder_of(places.objects).value_or(data + "/objects");
  CO_TRY(opened.store, object::open_folder_store(disk, folder));
  co_return opened;
}

std::string wal_folder(const Places& places, const std::string& data) {
  return folder_of(places.wal).value_or(data + "/wal");
}

}  // namespace paceline::server
