#include "server/data_folder.h"

#include <fmt/format.h>

#include "meta/records.h"
#include "server/stale_metadata.h"

namespace paceline::server {

Task<Result<DataFolder>> open_data_folder(env::Shard& shard, std::string path) {
  env::Disk& disk = shard.disk();
  DataFolder opened;
  CO_TRY_VOID(refuse_missing_metadata(disk, path));
  CO_TRY(bool there, disk.exists(path + "/metadata.sqlite"));
  if (!there)
    co_return fail(Code::not_found, fmt::format("{} is no data folder of a broker", path));
  auto lock = disk.lock(path + "/LOCK");
  if (!lock && lock.error().code == Code::in_use)
    co_return fail(Code::in_use, fmt::format("a broker is using {}; stop it first", path));
  if (!lock) co_return fail(lock.error());
  opened.lock = std::move(*lock);
  CO_TRY(opened.metadata, meta::open_sqlite_store(disk, shard, path + "/metadata.sqlite"));
  CO_TRY_VOID(co_await refuse_stale_metadata(shard, *opened.metadata, path));
  CO_TRY(opened.objects, object::open_folder_store(disk, path + "/objects"));
  CO_TRY(auto entry, co_await opened.metadata->get(shard, meta::cluster_key()));
  if (!entry) co_return fail(Code::corrupt, "the metadata names no cluster");
  CO_TRY(auto cluster, meta::decode<meta::ClusterRecord>(entry->value));
  wal::FileWalOptions options;
  options.folder = path + "/wal";
  options.cluster_id = cluster.cluster_id;
  opened.wal = wal::make_file_wal(disk, std::move(options));
  co_return opened;
}

}  // namespace paceline::server
