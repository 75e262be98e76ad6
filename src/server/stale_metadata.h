#pragma once

#include <string>

#include "env/shard.h"
#include "meta/store.h"

namespace paceline::server {

// corrupt, with a sentence for the operator, if there are data and no metadata: lanes and objects
// that nothing refers to would be collected as orphans. Fine if there is nothing at all.
Result<void> refuse_missing_metadata(env::Disk& disk, const std::string& folder);

// corrupt, with a sentence for the operator, if the data folder holds a lane's log or objects of an
// incarnation that its metadata has not given out yet: the metadata were restored from an older
// copy, or lost their end. REQUIRES, where a broker starts: asked before it takes an incarnation,
// because taking enough of them would hide the difference.
Task<Result<void>> refuse_stale_metadata(env::Shard& shard, meta::Store& metadata,
                                         std::string folder);

}  // namespace paceline::server
