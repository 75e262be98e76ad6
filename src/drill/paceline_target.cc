#include "drill/paceline_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "drill/build_id.h"
#include "drill/digest.h"
#include "drill/program.h"
#include "env/disk.h"
#include "net/http_client.h"

namespace paceline::drill {
namespace {

constexpr uint64_t kStateBytesMax = 4u << 20;
constexpr env::Duration kPatience = std::chrono::seconds(2);

// "0.1.0, build 0123456789ab", as the program of the brokers tells it; empty: it does not.
std::string version_of(env::Disk& disk, const DevFile& dev) {
  std::string version;
  std::vector<std::string> builds;
  for (const auto* broker : dev.of_role("broker")) {
    const std::string program = fmt::format("/proc/{}/exe", broker->pid);
    auto build = build_id_of(disk, program);
    if (!build || std::ranges::find(builds, *build) != builds.end()) continue;
    builds.push_back(*build);
    const Ending told = run_program({.argv = {program, "--version"}, .timeout = kPatience});
    constexpr std::string_view kName = "paceline ";
    if (told.exit_code != 0 || !told.out.starts_with(kName)) continue;
    version += fmt::format("{}{}, build {}", version.empty() ? "" : " and ",
                           told.out.substr(kName.size(), told.out.find('\n') - kName.size()),
                           build->substr(0, 12));
  }
  return version;
}

}  // namespace

PacelineTarget::PacelineTarget(env::Shard& shard, std::string dev_state, DevFile dev,
                               std::unique_ptr<Hooks> hooks)
    : HookTarget(shard, dev.bootstrap, "paceline", std::move(hooks), client::Security{}),
      dev_state_(std::move(dev_state)),
      dev_(std::move(dev)) {}

Task<Result<std::unique_ptr<PacelineTarget>>> PacelineTarget::open(env::Shard& shard,
                                                                   std::string dev_state,
                                                                   std::unique_ptr<Hooks> hooks) {
  CO_TRY(const std::string text, env::read_file(shard.disk(), dev_state, kStateBytesMax));
  CO_TRY(DevFile dev, parse_dev_file(text));
  if (dev.state != "ready")
    co_return fail(Code::unavailable,
                   fmt::format("the cluster of {} is '{}', not ready", dev_state, dev.state));
  std::unique_ptr<PacelineTarget> target(
      new PacelineTarget(shard, std::move(dev_state), std::move(dev), std::move(hooks)));
  env::Disk* disk = &shard.disk();
  const DevFile* brokers = &target->dev_;
  target->version_ =
      co_await env::offload(shard, [disk, brokers] { return version_of(*disk, *brokers); });
  co_return std::move(target);
}

evidence::Run::Target PacelineTarget::identity() const {
  evidence::Run::Target target = HookTarget::identity();
  target.profile = "paceline";
  target.name =
      fmt::format("paceline dev, {} brokers, store {}", dev_.of_role("broker").size(), dev_.store);
  target.bootstrap = dev_.bootstrap;
  if (!version_.empty()) target.version = version_;
  target.external_only = false;
  target.observes = {"t0", "t2", "t3", "t4", "t5", "t6", "t13"};
  std::string commands;
  for (const auto& service : dev_.services) commands += service.command + "\n";
  target.config_hash = sha256_hex(commands);
  return target;
}

Task<Result<void>> PacelineTarget::refresh() {
  CO_TRY(const std::string text, env::read_file(shard().disk(), dev_state_, kStateBytesMax));
  CO_TRY(dev_, parse_dev_file(text));
  co_return Result<void>{};
}

Result<LocalProcess> PacelineTarget::process_of(const DevFile::Service& service) {
  const auto look = look_at_process(shard().disk(), service.pid);
  if (!look || look->state == 'Z')
    return fail(Code::unavailable, fmt::format("{} does not run", service.name));
  return look->process;
}

Result<LocalProcess> PacelineTarget::broker_process(int32_t id) {
  const auto* service = dev_.broker(id);
  if (!service) return fail(Code::not_found, fmt::format("there is no broker {}", id));
  return process_of(*service);
}

Result<std::vector<LocalProcess>> PacelineTarget::quorum() {
  std::vector<LocalProcess> members;
  for (const auto* service : dev_.of_role("etcd")) {
    TRY(const LocalProcess process, process_of(*service));
    members.push_back(process);
  }
  if (members.empty()) return fail(Code::not_found, "there is no member of etcd");
  return members;
}

Task<Result<std::string>> PacelineTarget::fetch(DevFile::Service service, std::string target,
                                                std::string method, std::string body) {
  net::HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  CO_TRY(auto answer, co_await net::http_request(shard(), service.admin_host, service.admin_port,
                                                 std::move(request), shard().now() + kPatience));
  if (answer.status != 200)
    co_return fail(Code::unavailable,
                   fmt::format("{} answers {}: {}", service.name, answer.status, answer.text()));
  co_return std::string(answer.text());
}

Task<bool> PacelineTarget::ready(DevFile::Service service) {
  const auto answer = co_await fetch(std::move(service), "/readyz");
  co_return answer.has_value();
}

Task<Result<void>> PacelineTarget::whole(std::vector<int32_t> brokers) {
  CO_TRY_VOID(co_await refresh());
  for (const auto& service : dev_.services) {
    CO_TRY(const LocalProcess process, process_of(service));
    if (stopped(process))
      co_return fail(Code::unavailable, fmt::format("{} stands still", service.name));
  }
  const std::vector<DevFile::Service> services = dev_.services;
  for (const auto& service : services)
    if (service.role == "broker" && !co_await ready(service))
      co_return fail(Code::unavailable, fmt::format("{} is not ready", service.name));
  co_return co_await HookTarget::whole(std::move(brokers));
}

void PacelineTarget::follow(std::function<void(evidence::Event)> tell) {
  HookTarget::follow(tell);
  events_ = std::make_unique<BrokerEvents>(shard(), dev_.bootstrap, std::move(tell),
                                           [this](int32_t broker) -> std::optional<int64_t> {
                                             const auto found = clock_err_ns_.find(broker);
                                             if (found == clock_err_ns_.end()) return std::nullopt;
                                             return found->second;
                                           });
}

Task<void> PacelineTarget::catch_up(env::Duration at_most) {
  if (events_) co_await events_->catch_up(at_most);
  co_await HookTarget::catch_up(at_most);
}

}  // namespace paceline::drill
