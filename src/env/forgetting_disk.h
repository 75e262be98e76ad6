#pragma once

#include <memory>

#include "env/disk.h"

namespace paceline::env {

// For crash tests of the real program: written bytes stay in this process until their file is
// synced, so that kill -9 forgets what was never synced, as a power cut would. (Kill -9 alone
// leaves the page cache behind and cannot catch an acknowledgement that came too early.) Names are
// not forgotten: a created or renamed file is there after the kill, without the bytes that were not
// synced. `disk` must outlive it.
std::unique_ptr<Disk> make_forgetting_disk(Disk& disk);

}  // namespace paceline::env
