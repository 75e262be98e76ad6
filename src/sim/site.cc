#include "sim/site.h"

#include <algorithm>

#include "cluster/cluster.h"
#include "meta/records.h"
#include "server/data_folder.h"
#include "stream/recovery.h"

namespace paceline::sim {
namespace {

// Among so many are those where only the history is shared.
Site::Kept draw_kept(env::Random& random) {
  const uint64_t drawn = random.below(10);
  if (drawn < 5) return Site::Kept::on_disk;
  return drawn < 6 ? Site::Kept::history_in_bucket : Site::Kept::nothing_on_disk;
}

constexpr double kClusters = 0.35;  // of the seeds
constexpr double kLogsInFolder = 0.35;
constexpr double kPeers = 0.6;  // of the others, where a lease alone tells of a death
constexpr uint16_t kPeerPort = 9093;
constexpr uint64_t kBrokersMin = 3;
constexpr uint64_t kBrokersMax = 5;
constexpr uint64_t kSpares = 1;  // machines whose brokers may join later

// What an inspection looks at, wherever it is.
struct Opened {
  server::DataFolder folder;
  std::unique_ptr<meta::Store> metadata;
  std::unique_ptr<wal::Wal> wal;
  stream::Inspected inspected{};
};

// `logs`: the folder of them on `disk`; empty: they are among the objects.
Task<Result<void>> open_shared(env::Shard& shard, meta::Model& model, object::Store& bodies,
                               env::Disk& disk, std::string logs, Opened& opened) {
  opened.metadata = model.connect();
  CO_TRY(auto entry, co_await opened.metadata->get(shard, meta::cluster_key()));
  if (!entry) co_return fail(Code::corrupt, "the metadata name no cluster");
  CO_TRY(auto cluster, meta::decode<meta::ClusterRecord>(entry->value));
  if (logs.empty()) {
    wal::ObjectWalOptions options;
    options.cluster_id = cluster.cluster_id;
    opened.wal = wal::make_object_wal(bodies, std::move(options));
  } else {
    wal::FileWalOptions options;
    options.folder = std::move(logs);
    options.cluster_id = cluster.cluster_id;
    opened.wal = wal::make_file_wal(disk, std::move(options));
  }
  CO_TRY(auto leaders, co_await cluster::read_leaders(shard, *opened.metadata));
  opened.inspected = {.shard = &shard,
                      .meta = opened.metadata.get(),
                      .objects = &bodies,
                      .wal = opened.wal.get(),
                      .broker = {},
                      .led = std::move(leaders)};
  co_return Result<void>{};
}

Task<Result<void>> open_folder(env::Shard& shard, std::string data, object::Store* bodies,
                               Opened& opened) {
  CO_TRY(opened.folder, co_await server::open_data_folder(shard, std::move(data)));
  object::Store* objects = bodies ? bodies : opened.folder.objects.get();
  opened.inspected = {&shard, opened.folder.metadata.get(), objects, opened.folder.wal.get(),
                      BrokerId(1)};
  co_return Result<void>{};
}

}  // namespace

Site::Site(env::SimWorld& world, env::Random& random, const ObjectFaults& faults)
    : world_(world),
      faults_(faults),
      cluster_(draws_cluster(random)),
      kept_(cluster_ ? Kept::nothing_on_disk : draw_kept(random)),
      shard_count_(static_cast<unsigned>(1 + random.below(2))) {
  if (kept_ != Kept::on_disk) bucket_ = std::make_unique<Bucket>(world);
  if (shared()) model_ = std::make_unique<meta::Model>(random.next());
  if (cluster_ && random.chance(kLogsInFolder))
    folder_ = std::make_unique<SharedFolder>(random.next());
  peers_ = cluster_ && random.chance(kPeers);
  if (!cluster_) {
    add_machine("broker", BrokerId(1));
    if (shared()) add_machine("broker-b", BrokerId(1));
    machines_.front().member = true;
    return;
  }
  const uint64_t count = kBrokersMin + random.below(kBrokersMax - kBrokersMin + 1);
  for (uint64_t i = 1; i <= count + kSpares; ++i)
    add_machine(fmt::format("broker-{}", i), BrokerId(static_cast<int32_t>(i)));
  for (uint64_t i = 0; i < count; ++i) machines_[i].member = true;
}

bool Site::draws_cluster(env::Random& random) {
  return random.chance(kClusters);
}

void Site::add_machine(const std::string& name, BrokerId id) {
  Machine& machine = machines_.emplace_back();
  machine.host = std::make_unique<BrokerHost>(world_, name, shard_count_);
  server::Options& options = machine.host->options();
  options.settings.broker = id;
  if (peers_) {
    meta::Endpoint endpoint{std::string(meta::kPeerListener), name, kPeerPort};
    meta::Endpoint any = endpoint;
    any.host = "0.0.0.0";
    options.peer = server::PeerPort{.listen = any, .advertised = endpoint};
  }
  if (folder_) {
    machine.mounted = folder_->mount(machine.host->disk(), machine.reachable);
    machine.host->use_disk(*machine.mounted);
  }
  options.open_objects = [this, reachable = machine.reachable](
                             env::Disk& disk) -> Result<std::unique_ptr<object::Store>> {
    std::unique_ptr<object::Store> real;
    if (bucket_) {
      real = bucket_->client(reachable);
    } else {
      TRY(real, object::open_folder_store(disk, "/data/objects"));
    }
    return make_faulty_objects(std::move(real), faults_, world_.random().next());
  };
  if (!shared()) return;
  options.places.metadata = "etcd";
  options.places.wal = folder_ ? fmt::format("file:{}/wal", SharedFolder::kPath) : "objects:";
  options.open_metadata =
      [this, way = machine.metadata_way](env::Shard&) -> Result<std::unique_ptr<meta::Store>> {
    return behind(model_->connect(), way);
  };
}

Site::Machine& Site::machine(const BrokerHost& host) {
  const auto found = std::ranges::find_if(
      machines_, [&](const Machine& machine) { return machine.host.get() == &host; });
  CHECK(found != machines_.end());
  return *found;
}

BrokerHost* Site::former() {
  if (cluster_ || machines_.size() < 2) return nullptr;
  BrokerHost* other = machines_[1 - active_].host.get();
  return other->running() ? other : nullptr;
}

std::vector<BrokerHost*> Site::hosts() {
  std::vector<BrokerHost*> all;
  for (Machine& machine : machines_) all.push_back(machine.host.get());
  return all;
}

std::vector<BrokerHost*> Site::members() {
  std::vector<BrokerHost*> all;
  for (Machine& machine : machines_)
    if (machine.member) all.push_back(machine.host.get());
  return all;
}

void Site::move() {
  CHECK(shared() && !cluster_ && !former());
  machines_[active_].member = false;
  active_ = 1 - active_;
  machines_[active_].member = true;
  broker().disk().replace();
  broker().start();
}

std::string Site::life_of(const std::string& host_name) {
  for (const Machine& machine : machines_)
    if (machine.host->name() == host_name)
      return fmt::format("{} in its life {}", host_name, machine.host->life());
  return host_name;
}

void Site::set_reachable(BrokerHost& host, bool reachable) {
  *machine(host).reachable = reachable;
}

void Site::check(std::vector<std::string>& problems, bool& done) {
  auto body = [](Site* site, env::Shard& on, std::vector<std::string>* found,
                 bool* ended) -> Task<void> {
    Opened opened;
    object::Store* bodies = site->bucket_ ? &site->bucket_->bodies() : nullptr;
    const Machine& machine = site->machines_[site->active_];
    std::string logs = site->folder_ ? fmt::format("{}/wal", SharedFolder::kPath) : std::string();
    auto ready = site->shared()
                     ? co_await open_shared(on, *site->model_, *bodies,
                                            machine.mounted ? *machine.mounted : on.disk(),
                                            std::move(logs), opened)
                     : co_await open_folder(on, site->broker().options().data, bodies, opened);
    auto report = ready ? co_await stream::check(opened.inspected) : fail(ready.error());
    if (!report) {
      found->push_back("what is durable cannot be checked: " + report.error().message);
    } else {
      for (const std::string& problem : report->problems) found->push_back("check: " + problem);
      for (const auto& stream : report->streams)
        for (const std::string& problem : stream.problems)
          found->push_back(fmt::format("check of {}: {}", stream.id.to_string(), problem));
    }
    *ended = true;
  };
  env::Shard& shard = *broker().host().start(1).front();
  shard.spawn(body(this, shard, &problems, &done));
}

void Site::end_check() {
  broker().host().stop();
}

}  // namespace paceline::sim
