#pragma once

#include <memory>

#include "cluster/cluster.h"
#include "object/object.h"
#include "wal/wal.h"

namespace paceline::server {

// A log among the objects, as the membership looks at it. `store` outlives what is made.
cluster::LogPlace log_place(env::Shard& shard, object::Store& store,
                            std::shared_ptr<const wal::ObjectWalCounters> slots);

}  // namespace paceline::server
