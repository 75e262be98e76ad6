#include "probe/settings.h"

#include <fmt/format.h>

namespace paceline::probe {
namespace {

Settings with_options(Settings settings, const Options& options, const std::string& name) {
  settings["socket.nagle.disable"] = "true";
  for (const auto& [key, value] : options.settings) settings[key] = value;
  settings["bootstrap.servers"] = options.bootstrap;
  settings["client.id"] = name;
  return settings;
}

std::string value_of(const Settings& settings, const std::string& key) {
  const auto found = settings.find(key);
  return found == settings.end() ? std::string() : found->second;
}

}  // namespace

Settings producer_settings(const Options& options, const std::string& name) {
  return with_options({{"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "0"}},
                      options, name);
}

Settings transaction_settings(const Options& options, const std::string& name) {
  Settings settings = producer_settings(options, name);
  settings["enable.idempotence"] = "true";
  settings["acks"] = "all";
  settings["transactional.id"] = fmt::format("drill-{}-{}", options.run_id, name);
  return settings;
}

Settings consumer_settings(const Options& options, const std::string& name,
                           const std::string& group) {
  Settings settings = with_options({}, options, name);
  settings["auto.offset.reset"] = "earliest";
  // The library demands a name even of those who only assign.
  settings["group.id"] = group.empty() ? fmt::format("{}-{}", group_name(options), name) : group;
  if (group.empty()) settings["enable.auto.commit"] = "false";
  if (!options.zone.empty()) settings["client.rack"] = options.zone;
  return settings;
}

Settings reader_to_the_end_settings(const Options& options, const std::string& name) {
  Settings settings = consumer_settings(options, name, "");
  settings["enable.partition.eof"] = "true";
  return settings;
}

Settings admin_settings(const std::string& bootstrap, const Settings& more) {
  Settings settings = more;
  settings["bootstrap.servers"] = bootstrap;
  settings["client.id"] = "drill-admin";
  return settings;
}

bool is_idempotent(const Settings& settings) {
  return value_of(settings, "enable.idempotence") == "true";
}

std::string acks_of(const Settings& settings) {
  for (const char* key : {"acks", "request.required.acks"})
    if (const std::string acks = value_of(settings, key); !acks.empty())
      return acks == "-1" ? "all" : acks;
  return "all";
}

std::string group_name(const Options& options) {
  return fmt::format("drill-{}", options.run_id);
}

}  // namespace paceline::probe
