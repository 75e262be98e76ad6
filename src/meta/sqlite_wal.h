#pragma once

#include <string>

#include "base/result.h"
#include "env/disk.h"

namespace paceline::meta {

// Makes SQLite's log at `path` fit to be recovered: copies the transactions in it to a new file,
// which takes its place, durably. So what SQLite recovers is on the disk before anyone reads it,
// even when a sync of the old file had failed, or the process died before it. What stands behind
// the last whole transaction was never acknowledged and is left out. On a full disk all of that is
// done in place. Fine if the file is absent.
//
// corrupt: a damaged transaction is followed by later ones, so it had been acknowledged (the next
// one starts only after the sync of the one before); SQLite itself would drop it silently.
Result<void> renew_sqlite_wal(env::Disk& disk, const std::string& path);

}  // namespace paceline::meta
