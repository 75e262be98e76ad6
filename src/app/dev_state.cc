#include "app/dev_state.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/print.h"
#include "env/disk.h"
#include "env/real_env.h"

namespace paceline::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kStateBytesMax = 1u << 20;

std::string_view state_name(DevLife::State state) {
  switch (state) {
    case DevLife::State::starting:
      return "starting";
    case DevLife::State::ready:
      return "ready";
    case DevLife::State::ended:
      return "ended";
  }
  return "?";
}

Json at(const DevService& service, uint16_t port) {
  return port == 0 ? Json(nullptr) : Json(fmt::format("{}:{}", service.host, port));
}

Json life_json(const DevLife& life) {
  const DevService& service = life.service;
  return {{"name", service.key},
          {"role", role_name(service.role)},
          {"number", service.number},
          {"state", state_name(life.state)},
          {"pid", life.pid == 0 ? Json(nullptr) : Json(life.pid)},
          {"host", service.host.empty() ? Json(nullptr) : Json(service.host)},
          {"address", at(service, service.port)},
          {"admin", at(service, service.admin ? service.health_port : uint16_t{0})},
          {"starts", life.starts},
          {"log", service.program.log},
          {"command", service.program.argv}};
}

// The state of a cluster whose process lives, or has left it there ("ended"); nothing: none.
std::optional<Json> read_state(env::Disk& disk, const std::string& folder) {
  const DevPaths paths{folder};
  const auto text = env::read_file(disk, paths.state(), kStateBytesMax);
  if (!text) return std::nullopt;
  Json state = Json::parse(*text, nullptr, false);
  if (!state.is_object() || !state.contains("services") || !state.contains("state"))
    return std::nullopt;
  // Who holds the lock lives. What a killed one has written last is not true any more.
  const auto lock = disk.lock(paths.lock());
  if (lock || lock.error().code != Code::in_use) {
    state["state"] = "ended";
    state["pid"] = nullptr;
    for (Json& service : state["services"]) {
      service["state"] = "ended";
      service["pid"] = nullptr;
    }
  }
  return state;
}

Cell cell(const Json& value) {
  if (value.is_string()) return Cell::of(value.get<std::string>());
  if (value.is_number_integer()) return Cell::of(value.get<int64_t>());
  return Cell::none();
}

void print_table(const std::vector<Json>& states) {
  Listing listing("DevStatus",
                  {"folder", "name", "state", "pid", "address", "admin", "starts", "log"});
  for (const Json& state : states) {
    for (const Json& service : state["services"]) {
      std::vector<Cell> row{cell(state.value("folder", Json()))};
      for (const char* field : {"name", "state", "pid", "address", "admin", "starts", "log"})
        row.push_back(cell(service.value(field, Json())));
      listing.row(std::move(row));
    }
  }
  listing.print(false);
}

}  // namespace

std::string state_json(const DevState& state, const std::vector<const DevLife*>& lives) {
  Json services = Json::array();
  for (const DevLife* life : lives) services.push_back(life_json(*life));
  const bool over = state.state == "ended";
  Json network = nullptr;
  if (!state.interface.empty())
    network = {{"interface", state.interface}, {"machine", state.machine}};
  const Json document{{"api_version", "paceline/v1"},
                      {"kind", "DevCluster"},
                      {"state", state.state},
                      {"pid", over ? Json(nullptr) : Json(::getpid())},
                      {"folder", state.folder},
                      {"store", state.options.store},
                      {"port", state.options.port},
                      {"etcd_members", state.options.etcd_members},
                      {"restart", state.options.restart},
                      {"network", network},
                      {"bootstrap", state.bootstrap},
                      {"metadata", state.metadata},
                      {"objects", state.objects},
                      {"environment", Json(state.environment)},
                      {"services", std::move(services)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> check_continues(const std::string& earlier_json, const DevOptions& options) {
  const Json earlier = Json::parse(earlier_json, nullptr, false);
  if (!earlier.is_object()) return fail(Code::invalid_argument, "its dev.json cannot be read");
  const std::string store = earlier.value("store", "folder");
  if (store != options.store)
    return fail(
        Code::invalid_argument,
        fmt::format("the cluster there has --store {}; say so, or name another --dir", store));
  if (options.s3()) return {};  // it starts anew
  const unsigned members = earlier.value("etcd_members", 1u);
  const unsigned port = earlier.value("port", 9092u);
  if (members != options.etcd_members)
    return fail(
        Code::invalid_argument,
        fmt::format("the cluster there has --etcd-members {}; say so, or name another --dir",
                    members));
  // Members find each other where they were.
  if (members > 1 && earlier.contains("network") && earlier["network"].is_object() != options.hosts)
    return fail(Code::invalid_argument,
                options.hosts ? "the cluster there has no --hosts; name another --dir"
                              : "the cluster there has --hosts; say so, or name another --dir");
  if (members > 1 && port != options.port)
    return fail(Code::invalid_argument,
                fmt::format("the cluster there has --port {}, and its {} members of etcd know each "
                            "other by it; say so, or name another --dir",
                            port, members));
  return {};
}

std::optional<FoundDev> find_dev_state(const std::string& folder, const std::string& bootstrap) {
  env::RealEnv env({.shards = 1});
  env::Disk& disk = env.shard(0).disk();
  std::vector<FoundDev> found;
  for (const std::string& one : folder.empty() ? PassingFolder::all() : std::vector{folder}) {
    const auto state = read_state(disk, one);
    if (!state || state->value("state", "") == "ended") continue;
    const std::string brokers = "," + state->value("bootstrap", std::string()) + ",";
    const std::string first = bootstrap.substr(0, bootstrap.find(','));
    if (!bootstrap.empty() && brokers.find("," + first + ",") == std::string::npos) continue;
    found.push_back({DevPaths{one}.state(), one, folder.empty()});
  }
  if (found.size() != 1) return std::nullopt;
  return found.front();
}

int dev_status(const std::string& folder, bool json) {
  env::RealEnv env({.shards = 1});
  env::Disk& disk = env.shard(0).disk();
  std::vector<Json> states;
  for (const std::string& one : folder.empty() ? PassingFolder::all() : std::vector{folder}) {
    if (auto state = read_state(disk, one)) states.push_back(std::move(*state));
  }
  if (states.empty())
    return complain(kNotFound, folder.empty()
                                   ? "no cluster of `paceline dev` runs here; with --dir FOLDER "
                                     "this looks into a folder that was named"
                                   : fmt::format("{} holds no cluster of `paceline dev`", folder));
  if (json) {
    const Json document{
        {"api_version", "paceline/v1"}, {"kind", "DevStatus"}, {"items", Json(states)}};
    std::printf("%s\n", document.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print_table(states);
  }
  return kDone;
}

}  // namespace paceline::app
