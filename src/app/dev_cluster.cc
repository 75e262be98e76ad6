#include "app/dev_cluster.h"

#include <sys/wait.h>

#include <csignal>

#include "app/commands.h"
#include "app/dev_network.h"
#include "base/log.h"
#include "env/network.h"
#include "net/http_client.h"

namespace paceline::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kReadyWithin = seconds(60);
constexpr auto kLook = milliseconds(10);
constexpr auto kShortLife = seconds(10);
constexpr auto kBrokerStopsWithin = seconds(20);  // it uploads for ten at most
constexpr auto kKillTakes = seconds(10);
constexpr uint64_t kStateBytesMax = 1u << 20;

double seconds_of(env::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// "broker 2 (pid 7) ended with code 1: what it said last"
std::string end_sentence(const DevLife& life, int status) {
  std::string text =
      fmt::format("{} (pid {}) {}", life.service.program.name, life.pid, ending_text(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    const std::string said = last_line(life.service.program.log);
    text += ": " + (said.empty() ? "it said nothing" : said);
  }
  return text;
}

}  // namespace

DevCluster::DevCluster(env::Shard& shard, DevOptions options, std::string folder, bool passing)
    : shard_(shard),
      options_(std::move(options)),
      paths_{std::move(folder)},
      passing_(passing),
      addresses_(options_.port, options_.hosts),
      processes_(shard) {}

void DevCluster::ask_to_end() {
  hurry_ = ending_;
  ending_ = true;
  processes_.changed().notify_all();
}

Task<int> DevCluster::run() {
  const Result<void> up = co_await start();
  if (up) {
    co_await write_state("ready");
    print_banner();
    co_await watch();
  } else if (!ending_) {
    lost_ = up.error().message;
  }
  const bool interrupted = !up && ending_;
  ending_ = true;
  if (lost_) complain(kFailed, *lost_);
  if (!lives_.empty()) {
    co_await write_state("ending");
    co_await end_all();
    co_await write_state("ended");
  }
  co_return lost_ || unclean_ ? kFailed : interrupted ? 128 + SIGINT : kDone;
}

Task<Result<void>> DevCluster::start() {
  CO_TRY_VOID(co_await prepare_folder());
  CO_TRY_VOID(choose_addresses());
  co_await write_state("starting");
  CO_TRY_VOID(co_await start_network());
  CO_TRY_VOID(co_await start_etcd());
  CO_TRY_VOID(co_await start_store());
  CO_TRY_VOID(co_await until_ready(of_role(DevRole::etcd)));
  co_return co_await start_brokers();
}

Task<Result<void>> DevCluster::prepare_folder() {
  env::Disk& disk = shard_.disk();
  CO_TRY_VOID(disk.make_dirs(paths_.root + "/logs"));
  auto lock = disk.lock(paths_.lock());
  if (!lock)
    co_return fail(
        lock.error().code,
        lock.error().code == Code::in_use
            ? fmt::format("a cluster runs in {} already; `paceline dev --status --dir {}` "
                          "shows it",
                          paths_.root, paths_.root)
            : lock.error().message);
  if (auto earlier = env::read_file(disk, paths_.state(), kStateBytesMax)) {
    if (auto same = check_continues(*earlier, options_); !same)
      co_return fail(same.error().code, fmt::format("{}: {}", paths_.root, same.error().message));
    // Members of etcd find each other where they were.
    if (!options_.s3() && options_.etcd_members > 1) options_.any_port = false;
    if (options_.s3()) {
      // The store was in memory: what etcd and the brokers know is of a history that is gone.
      log_info("the store of the last run was in memory: {} starts anew", paths_.root);
      for (unsigned one = 1; one <= DevAddresses::kBrokersMax; ++one) {
        remove_tree(paths_.data(fmt::format("broker-{}", one)));
        remove_tree(paths_.data(fmt::format("etcd-{}", one)));
      }
      remove_tree(paths_.data("store"));
      remove_tree(paths_.data("wal"));
    }
  }
  lock_ = std::move(*lock);
  co_return Result<void>{};
}

std::optional<std::string> DevCluster::taken(const DevAddresses& addresses) {
  if (addresses.hosts()) {
    // What is on 127.0.0.1 is in nobody's way.
    if (interface_exists(addresses.interface()))
      return fmt::format("the network of {} is another cluster's", addresses.interface());
    return std::nullopt;
  }
  for (const DevAddresses::Use& use : addresses.used(options_)) {
    if (auto listener = shard_.network().listen("127.0.0.1", use.port); !listener)
      return fmt::format("port {} of {} is taken{}", use.port, use.whose, port_owner(use.port));
  }
  return std::nullopt;
}

Result<void> DevCluster::choose_addresses() {
  auto conflict = taken(addresses_);
  // Below those that the kernel gives to outgoing connections.
  for (int tries = 0; conflict && options_.any_port && tries < 100; ++tries) {
    options_.port = static_cast<uint16_t>(20'000 + shard_.random() % 12'000);
    addresses_ = DevAddresses(options_.port, options_.hosts);
    conflict = taken(addresses_);
  }
  if (conflict)
    return fail(Code::in_use,
                *conflict + "; --port BASE moves all of it, --any-port finds what is free");
  return {};
}

Task<Result<void>> DevCluster::start_network() {
  if (!options_.hosts) co_return Result<void>{};
  const DevNetwork network(paths_, addresses_);
  std::vector<pid_t> holders;
  for (unsigned host = 0; host <= options_.brokers; ++host) {
    CO_TRY(DevLife * life, add(network.holder(host)));
    holders.push_back(life->pid);
  }
  CO_TRY_VOID(co_await run_tools(network.joins(holders), DevRole::network));
  co_return co_await until_ready(of_role(DevRole::network));
}

Task<Result<void>> DevCluster::start_etcd() {
  for (unsigned member = 1; member <= options_.etcd_members; ++member) {
    CO_TRY([[maybe_unused]] DevLife * life,
           add(etcd_service(options_, paths_, addresses_, member)));
  }
  co_return Result<void>{};
}

Task<Result<void>> DevCluster::start_store() {
  if (!options_.s3()) co_return Result<void>{};
  auto random = [this] { return shard_.random(); };
  bucket_ = Ceph::make_keys(addresses_, random);
  const Ceph ceph(paths_, addresses_, bucket_, random);
  env::Disk& disk = shard_.disk();
  for (const std::string& folder : ceph.folders()) CO_TRY_VOID(disk.make_dirs(folder));
  for (const auto& [path, content] : ceph.files())
    CO_TRY_VOID(env::replace_file(disk, path, as_bytes(content)));
  CO_TRY_VOID(co_await run_tools(ceph.before_monitor(), DevRole::store));
  CO_TRY([[maybe_unused]] DevLife * monitor, add(ceph.monitor()));
  CO_TRY_VOID(co_await run_tools(ceph.before_osd(), DevRole::store));
  CO_TRY([[maybe_unused]] DevLife * osd, add(ceph.osd()));
  CO_TRY([[maybe_unused]] DevLife * gateway, add(ceph.gateway()));
  CO_TRY([[maybe_unused]] DevLife * proxy,
         add(store_proxy_service(paths_, addresses_, own_binary())));
  CO_TRY_VOID(co_await until_ready(of_role(DevRole::store)));
  CO_TRY_VOID(co_await run_tools({ceph.make_user()}, DevRole::store));
  co_return co_await make_bucket(shard_, bucket_);
}

Task<Result<void>> DevCluster::start_brokers() {
  const std::string binary = own_binary();
  for (unsigned broker = 1; broker <= options_.brokers; ++broker) {
    CO_TRY([[maybe_unused]] DevLife * life,
           add(broker_service(options_, paths_, addresses_, binary, bucket_, broker)));
  }
  co_return co_await until_ready(of_role(DevRole::broker));
}

Task<Result<void>> DevCluster::run_tools(std::vector<Program> tools, DevRole role) {
  for (Program& tool : tools) {
    if (ending_) co_return fail(Code::cancelled, "asked to end");
    CO_TRY_VOID(nobody_ended());
    CO_TRY_VOID(co_await processes_.run(placed(std::move(tool), role, 0), kReadyWithin));
  }
  co_return Result<void>{};
}

Program DevCluster::placed(Program program, DevRole role, unsigned number) const {
  if (!options_.hosts || role == DevRole::network) return program;
  const unsigned host = role == DevRole::broker ? number : 0;
  for (const DevLife* life : of_role(DevRole::network))
    if (life->service.number == host) return inside_network(std::move(program), life->pid);
  return program;
}

Result<DevLife*> DevCluster::add(DevService service) {
  DevLife& life = *lives_.emplace_back(std::make_unique<DevLife>());
  life.service = std::move(service);
  TRY_VOID(begin(life));
  return &life;
}

Result<void> DevCluster::begin(DevLife& life) {
  const DevService& service = life.service;
  TRY(life.pid, processes_.start(placed(service.program, service.role, service.number)));
  life.state = DevLife::State::starting;
  life.started_at = shard_.now();
  ++life.starts;
  return {};
}

// Of those that start together each may need the others: their ends are looked for all the time.
Task<Result<void>> DevCluster::until_ready(std::vector<DevLife*> lives) {
  const env::Instant deadline = shard_.now() + kReadyWithin;
  for (DevLife* life : lives) {
    while (!co_await answers(life->service)) {
      if (ending_) co_return fail(Code::cancelled, "asked to end");
      CO_TRY_VOID(nobody_ended());
      if (shard_.now() >= deadline)
        co_return fail(Code::timed_out,
                       fmt::format("{} is not ready after {:.0f} s: {}", life->service.program.name,
                                   seconds_of(kReadyWithin), last_line(life->service.program.log)));
      co_await processes_.changed().wait_until(shard_.now() + kLook);
    }
    life->state = DevLife::State::ready;
  }
  co_return nobody_ended();
}

Task<bool> DevCluster::answers(const DevService& service) {
  if (service.health_port == 0) co_return true;
  net::HttpRequest request;
  request.method = "GET";
  request.target = service.health_path;
  const auto answer = co_await net::http_request(shard_, service.host, service.health_port,
                                                 std::move(request), shard_.now() + seconds(2));
  co_return answer && (service.any_answer || answer->status / 100 == 2);
}

Result<void> DevCluster::nobody_ended() const {
  for (const auto& life : lives_) {
    if (life->pid == 0) continue;
    if (const auto status = processes_.ended(life->pid))
      return fail(Code::unavailable, end_sentence(*life, *status));
  }
  return {};
}

void DevCluster::print_banner() {
  std::string text = fmt::format(
      "paceline 0.1.0   {} broker processes, data in {}{}\n  bootstrap {}\n", options_.brokers,
      paths_.root, passing_ ? " (removed in the end)" : "", bootstrap_of(options_, addresses_));
  for (const DevLife* life : of_role(DevRole::broker))
    text += fmt::format("  {:<9} kafka {}:{}   admin http://{}:{}   pid {}\n",
                        life->service.program.name, life->service.host, life->service.port,
                        life->service.host, life->service.health_port, life->pid);
  for (const DevLife* life : of_role(DevRole::etcd))
    text += fmt::format("  {:<9} {}:{}   pid {}\n", life->service.program.name, life->service.host,
                        life->service.port, life->pid);
  if (options_.s3()) {
    text += fmt::format("  store     {}   Ceph RGW, in memory; keys in dev.json\n", bucket_.url());
  } else {
    text +=
        fmt::format("  store     folder {}, log {}\n", paths_.data("objects"), paths_.data("wal"));
  }
  if (options_.hosts)
    text += fmt::format("  network   {}: brokers are hosts of their own\n", addresses_.interface());
  text += fmt::format("  logs      {}/logs; who runs where: {}\n", paths_.root, paths_.state());
  const DevLife& first = *of_role(DevRole::broker).front();
  text += fmt::format(
      "Try:  paceline topic create orders -p 12 -b {}:{}\n"
      "      kcat -b {} -L\n"
      "      kill -9 {}      # {}: others take over{}\n"
      "Ctrl-C ends all of it.\n",
      first.service.host, first.service.port, bootstrap_of(options_, addresses_), first.pid,
      first.service.program.name, options_.restart ? ", and it comes back" : "");
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

Task<void> DevCluster::watch() {
  while (!ending_ && !lost_) {
    bool changed = false;
    for (const auto& life : lives_) {
      if (life->pid == 0) continue;
      if (const auto status = processes_.ended(life->pid)) {
        heard_end(*life, *status);
        changed = true;
      }
    }
    // While that is written more may end.
    if (changed) {
      co_await write_state("ready");
      continue;
    }
    co_await processes_.changed().wait();
  }
}

void DevCluster::heard_end(DevLife& life, int status) {
  std::string text = end_sentence(life, status);
  const bool short_life = shard_.now() - life.started_at < kShortLife;
  const env::Duration pause = restart_pause(short_life ? life.short_lives : 0);
  life.short_lives = short_life ? life.short_lives + 1 : 0;
  life.pid = 0;
  life.state = DevLife::State::ended;
  if (!life.service.irreplaceable.empty()) {
    lost_ = fmt::format("{}; {}, and the cluster ends", text, life.service.irreplaceable);
    return;
  }
  if (!options_.restart) {
    log_warn("{}; it stays away (--no-restart)", text);
    return;
  }
  log_warn("{}; it starts again in {:.0f} s", text, seconds_of(pause));
  shard_.spawn(start_again(life, pause));
}

Task<void> DevCluster::start_again(DevLife& life, env::Duration pause) {
  const env::Instant ended = shard_.now();
  co_await env::sleep_for(shard_, pause);
  if (ending_) co_return;
  if (auto begun = begin(life); !begun) {
    log_error("{}", begun.error().message);
    co_await write_state("ready");
    co_return;
  }
  const pid_t pid = life.pid;
  co_await write_state("ready");
  while (life.pid == pid && !ending_ && !co_await answers(life.service))
    co_await processes_.changed().wait_until(shard_.now() + kLook);
  if (life.pid != pid || ending_ || processes_.ended(pid)) co_return;  // the watch tells of it
  life.state = DevLife::State::ready;
  log_info("{} (pid {}) is ready again, {:.1f} s after its end", life.service.program.name,
           life.pid, seconds_of(shard_.now() - ended));
  co_await write_state("ready");
}

Task<void> DevCluster::end_all() {
  log_info("ending {} processes",
           std::ranges::count_if(lives_, [](const auto& life) { return life->pid != 0; }));
  co_await end_those(DevRole::broker, SIGTERM, kBrokerStopsWithin);
  // Nobody will ask the store, and what etcd has acknowledged is on the disk: its members, asked
  // to end all at once, wait for each other for seconds.
  co_await end_those(DevRole::store, SIGKILL, kKillTakes);
  co_await end_those(DevRole::etcd, SIGKILL, kKillTakes);
  co_await end_those(DevRole::network, SIGKILL, kKillTakes);
}

Task<void> DevCluster::end_those(DevRole role, int signal, env::Duration patience) {
  std::vector<DevLife*> running;
  for (DevLife* life : of_role(role)) {
    if (life->pid == 0 || processes_.ended(life->pid)) continue;
    running.push_back(life);
    processes_.signal(life->pid, signal);
  }
  const env::Instant deadline = shard_.now() + patience;
  for (DevLife* life : running) {
    while (!processes_.ended(life->pid) && shard_.now() < deadline && !hurry_)
      co_await processes_.changed().wait_until(deadline);
    if (!processes_.ended(life->pid) && !hurry_) {
      log_warn("{} (pid {}) does not end and is killed", life->service.program.name, life->pid);
      unclean_ = true;
    }
    processes_.signal(life->pid, SIGKILL);
    while (!processes_.ended(life->pid)) co_await processes_.changed().wait();
    const int status = *processes_.ended(life->pid);
    // One that did not listen yet ends by the signal itself.
    if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == signal)) {
      log_warn("{}", end_sentence(*life, status));
      unclean_ = true;
    }
  }
  for (DevLife* life : of_role(role)) {
    life->pid = 0;
    life->state = DevLife::State::ended;
  }
}

Task<void> DevCluster::write_state(std::string state) {
  state_ = std::move(state);
  DevState now{.state = state_,
               .options = options_,
               .folder = paths_.root,
               .bootstrap = bootstrap_of(options_, addresses_),
               .metadata = metadata_url(options_, addresses_),
               .objects = options_.s3() ? bucket_.url() : "file:" + paths_.data("objects"),
               .interface = options_.hosts ? addresses_.interface() : "",
               .machine = addresses_.machine_host(),
               .environment = {}};
  if (options_.s3()) now.environment = bucket_.environment();
  std::vector<const DevLife*> lives;
  for (const auto& life : lives_) lives.push_back(life.get());
  env::Disk* disk = &shard_.disk();
  auto write = [disk, path = paths_.state(), text = state_json(now, lives)] {
    return env::replace_file(*disk, path, as_bytes(text));
  };
  constexpr uint64_t kLane = 1;  // what was said last is what stays
  const Result<void> written = co_await env::offload(shard_, std::move(write), kLane);
  if (!written) log_warn("the state cannot be written: {}", written.error().message);
}

std::vector<DevLife*> DevCluster::of_role(DevRole role) const {
  std::vector<DevLife*> found;
  for (const auto& life : lives_) {
    if (life->service.role == role) found.push_back(life.get());
  }
  return found;
}

}  // namespace paceline::app
