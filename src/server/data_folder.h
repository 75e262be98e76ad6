#pragma once

#include <memory>
#include <string>

#include "meta/store.h"
#include "object/object.h"
#include "wal/wal.h"

namespace paceline::server {

// Everything of a broker's data folder, opened to be inspected while no broker uses it.
struct DataFolder {
  std::unique_ptr<env::FileLock> lock;
  std::unique_ptr<meta::Store> metadata;
  std::unique_ptr<object::Store> objects;
  std::unique_ptr<wal::Wal> wal;
};

// not_found: no broker's folder. in_use: a broker has it. corrupt: its metadata are damaged,
// missing or older than the data. Every message is one sentence for the operator.
Task<Result<DataFolder>> open_data_folder(env::Shard& shard, std::string path);

}  // namespace paceline::server
