#pragma once

#include <map>
#include <memory>
#include <string>

#include "meta/store.h"
#include "object/object.h"
#include "object/s3.h"
#include "wal/wal.h"

// Where what is durable lies: by the configuration, for a broker and for those who look without
// one.

namespace paceline::server {

struct Places {
  std::string metadata;  // empty: SQLite in the data folder; etcd://...
  std::string objects;   // empty: a folder in the data folder; file:FOLDER, s3://...
  std::string wal;  // empty: segment files in the data folder; file:FOLDER, objects: = among them
  object::Environment environment;  // of the process: credentials may be named there

  bool metadata_is_local() const { return metadata.empty(); }
  bool objects_are_local() const { return objects.empty(); }
  bool wal_is_objects() const { return wal == "objects:"; }
};

// One sentence about what cannot be used, before anything is opened. Pure.
Result<void> check_places(const Places& places);

// What has been opened, in the order in which it is to be destroyed last.
struct OpenObjects {
  std::unique_ptr<object::Store> store;
  object::S3Store* s3 = nullptr;  // the same one, if it is in a bucket
};

// `data` is the data folder, for what lies in it. An error is one sentence for the operator.
Task<Result<std::unique_ptr<meta::Store>>> open_metadata(env::Shard& shard, env::Disk& disk,
                                                         Places places, std::string data);
Task<Result<OpenObjects>> open_objects(env::Shard& shard, env::Disk& disk, Places places,
                                       std::string data);
std::string wal_folder(const Places& places, const std::string& data);

}  // namespace paceline::server
