#include "drill/dev_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "env/address.h"

namespace paceline::drill {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t number_of(const Json& object, const char* name, int64_t high) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return 0;
  const auto number = found->get<int64_t>();
  return number >= 0 && number <= high ? number : 0;
}

void read_address(const Json& object, const char* name, std::string& host, uint16_t& port) {
  const std::string text = text_of(object, name);
  const auto parsed = env::parse_host_port(text);
  if (!parsed) return;
  host = parsed->host;
  port = parsed->port;
}

}  // namespace

const DevFile::Service* DevFile::broker(int32_t id) const {
  for (const Service& service : services)
    if (service.role == "broker" && static_cast<int64_t>(service.number) == id) return &service;
  return nullptr;
}

const DevFile::Service* DevFile::named(std::string_view name) const {
  const auto found = std::ranges::find(services, name, &Service::name);
  return found == services.end() ? nullptr : &*found;
}

std::vector<const DevFile::Service*> DevFile::of_role(std::string_view role) const {
  std::vector<const Service*> all;
  for (const Service& service : services)
    if (service.role == role) all.push_back(&service);
  return all;
}

Result<DevFile> parse_dev_file(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_object() || text_of(root, "kind") != "DevCluster")
    return fail(Code::corrupt, "no dev.json of a `paceline dev`");
  const auto services = root.find("services");
  if (services == root.end() || !services->is_array())
    return fail(Code::corrupt, "a dev.json without services");
  DevFile file{.state = text_of(root, "state"),
               .folder = text_of(root, "folder"),
               .bootstrap = text_of(root, "bootstrap"),
               .store = text_of(root, "store"),
               .network = {},
               .machine = {},
               .restart = true,
               .services = {}};
  if (const auto restart = root.find("restart"); restart != root.end() && restart->is_boolean())
    file.restart = restart->get<bool>();
  if (const auto network = root.find("network"); network != root.end() && network->is_object()) {
    file.network = text_of(*network, "interface");
    file.machine = text_of(*network, "machine");
  }
  for (const Json& from : *services) {
    if (!from.is_object()) return fail(Code::corrupt, "a dev.json with a service that is none");
    DevFile::Service service{.name = text_of(from, "name"),
                             .role = text_of(from, "role"),
                             .number = static_cast<unsigned>(number_of(from, "number", 100'000)),
                             .state = text_of(from, "state"),
                             .pid = static_cast<int32_t>(number_of(from, "pid", INT32_MAX)),
                             .host = text_of(from, "host"),
                             .admin_host = {},
                             .starts = static_cast<unsigned>(number_of(from, "starts", INT32_MAX)),
                             .command = {}};
    read_address(from, "address", service.host, service.port);
    read_address(from, "admin", service.admin_host, service.admin_port);
    if (const auto words = from.find("command"); words != from.end() && words->is_array())
      for (const Json& word : *words)
        if (word.is_string())
          service.command += (service.command.empty() ? "" : " ") + word.get<std::string>();
    file.services.push_back(std::move(service));
  }
  return file;
}

}  // namespace paceline::drill
