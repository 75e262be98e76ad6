#include "sim/site.h"

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

// What an inspection looks at, wherever it is.
struct Opened {
  server::DataFolder folder;
  std::unique_ptr<meta::Store> metadata;
  std::unique_ptr<wal::Wal> slots;
  stream::Inspected inspected{};
};

Task<Result<void>> open_shared(env::Shard& shard, meta::Model& model, object::Store& bodies,
                               Opened& opened) {
  opened.metadata = model.connect();
  CO_TRY(auto entry, co_await opened.metadata->get(shard, meta::cluster_key()));
  if (!entry) co_return fail(Code::corrupt, "the metadata name no cluster");
  CO_TRY(auto cluster, meta::decode<meta::ClusterRecord>(entry->value));
  wal::ObjectWalOptions options;
  options.cluster_id = cluster.cluster_id;
  opened.slots = wal::make_object_wal(bodies, std::move(options));
  opened.inspected = {&shard, opened.metadata.get(), &bodies, opened.slots.get(), BrokerId(1)};
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
      kept_(draw_kept(random)),
      shard_count_(static_cast<unsigned>(1 + random.below(2))) {
  if (kept_ != Kept::on_disk) bucket_ = std::make_unique<Bucket>(world);
  if (shared()) model_ = std::make_unique<meta::Model>(random.next());
  hosts_[0] = make_host("broker");
  if (shared()) hosts_[1] = make_host("broker-b");
}

std::unique_ptr<BrokerHost> Site::make_host(const std::string& name) {
  auto host = std::make_unique<BrokerHost>(world_, name, shard_count_);
  server::Options& options = host->options();
  auto reachable = std::make_shared<bool>(true);
  reachable_[hosts_[0] ? 1 : 0] = reachable;
  options.open_objects = [this,
                          reachable](env::Disk& disk) -> Result<std::unique_ptr<object::Store>> {
    std::unique_ptr<object::Store> real;
    if (bucket_) {
      real = bucket_->client(reachable);
    } else {
      TRY(real, object::open_folder_store(disk, "/data/objects"));
    }
    return make_faulty_objects(std::move(real), faults_, world_.random().next());
  };
  if (!shared()) return host;
  options.places.metadata = "etcd";
  options.places.wal = "objects:";
  options.open_metadata = [this](env::Shard&) -> Result<std::unique_ptr<meta::Store>> {
    return model_->connect();
  };
  return host;
}

BrokerHost* Site::former() {
  BrokerHost* other = hosts_[1 - active_].get();
  return other && other->running() ? other : nullptr;
}

std::vector<BrokerHost*> Site::hosts() {
  std::vector<BrokerHost*> all;
  for (auto& host : hosts_)
    if (host) all.push_back(host.get());
  return all;
}

void Site::move() {
  CHECK(shared() && !former());
  active_ = 1 - active_;
  broker().disk().replace();
  broker().start();
}

void Site::set_reachable(BrokerHost& host, bool reachable) {
  *reachable_[&host == hosts_[0].get() ? 0 : 1] = reachable;
}

void Site::check(std::vector<std::string>& problems, bool& done) {
  auto body = [](Site* site, env::Shard& on, std::vector<std::string>* found,
                 bool* ended) -> Task<void> {
    Opened opened;
    object::Store* bodies = site->bucket_ ? &site->bucket_->bodies() : nullptr;
    auto ready = site->shared()
                     ? co_await open_shared(on, *site->model_, *bodies, opened)
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
