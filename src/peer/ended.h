#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"

namespace paceline::peer {

// Instead of a status as waitpid() gives it.
inline constexpr int32_t kStatusNotYet = -1;  // the process is not gone yet: another word follows
inline constexpr int32_t kStatusUnplanned = -2;  // it is not known, but the end was no planned one

// What a broker's guardian sends, alone on a fresh connection to the peer port of every other
// broker, when the broker is no more.
std::string encode_ended(const Uuid& cluster_id, Lane lane, int32_t status);

}  // namespace paceline::peer
