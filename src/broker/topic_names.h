#pragma once

#include <string_view>

#include "cluster/cluster.h"

namespace paceline::broker {

// Kafka's rule: letters, digits, '.', '_' and '-', at most 249, neither "." nor "..".
bool valid_topic_name(std::string_view name);
// What of the rule a name breaks, in one sentence; empty if nothing.
std::string topic_name_problem(std::string_view name);
// '.' and '_' are one and the same in metric names, so two topics must not differ in them alone:
// the topic there is that `name` collides with, or null.
const cluster::TopicImage* colliding_topic(std::string_view name, const cluster::Image& image);

}  // namespace paceline::broker
