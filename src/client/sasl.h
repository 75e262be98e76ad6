#pragma once

#include "client/client.h"

namespace paceline::client {

// Kafka's exchange before anything else is asked. permission_denied: the broker does not take the
// mechanism, the name or the password, with its own words.
Task<Result<void>> authenticate(env::Shard& shard, Client& client, const Security& security);

}  // namespace paceline::client
