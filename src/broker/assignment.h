#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/cluster.h"

namespace paceline::broker {

bool is_registered(const cluster::Image& image, BrokerId id);

// Brokers as a tool names them for a partition, the preferred leader first. invalid_argument: it
// cannot have them, with the reason.
Result<std::vector<BrokerId>> named_brokers(const cluster::Image& image,
                                            std::span<const int32_t> ids);

}  // namespace paceline::broker
