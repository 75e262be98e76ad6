#pragma once

#include <map>
#include <string>

#include "probe/probe.h"

namespace paceline::probe {

// librdkafka's settings of one client. What is not named stays as the library has it: README.md
// says why each of them is here.
using Settings = std::map<std::string, std::string>;

// `name`: of the client, as brokers see it. What the options set is stronger than what is only
// better for measuring, and weaker than what the load cannot do without.
Settings producer_settings(const Options& options, const std::string& name);
Settings transaction_settings(const Options& options, const std::string& name);
// An empty group: by assignment.
Settings consumer_settings(const Options& options, const std::string& name,
                           const std::string& group);
Settings reader_to_the_end_settings(const Options& options, const std::string& name);
Settings admin_settings(const std::string& bootstrap, const Settings& more);

// What run.json tells of a client with such settings.
bool is_idempotent(const Settings& settings);
std::string acks_of(const Settings& settings);

// Of the load's consumer group.
std::string group_name(const Options& options);

}  // namespace paceline::probe
