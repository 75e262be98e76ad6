#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"

namespace paceline::peer {

// What a parent process sends, alone on a fresh connection to the peer port of every other broker,
// when the broker that it has started is no more. `status` as waitpid() gives it;
// -1 when it is not known yet, and then it is told again with it.
std::string encode_ended(const Uuid& cluster_id, Lane lane, int32_t status);

}  // namespace paceline::peer
