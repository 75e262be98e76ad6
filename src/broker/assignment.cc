#include "broker/assignment.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::broker {

bool is_registered(const cluster::Image& image, BrokerId id) {
  return std::ranges::find(image.brokers, id, &cluster::BrokerImage::id) != image.brokers.end();
}

Result<std::vector<BrokerId>> named_brokers(const cluster::Image& image,
                                            std::span<const int32_t> ids) {
  if (ids.empty()) return fail(Code::invalid_argument, "an empty list");
  std::vector<BrokerId> brokers;
  for (const int32_t id : ids) {
    if (!is_registered(image, BrokerId(id)))
      return fail(Code::invalid_argument, fmt::format("broker {} is not registered", id));
    if (std::ranges::find(brokers, BrokerId(id)) != brokers.end())
      return fail(Code::invalid_argument, fmt::format("broker {} is named twice", id));
    brokers.emplace_back(id);
  }
  return brokers;
}

}  // namespace paceline::broker
