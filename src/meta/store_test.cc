#include "env/disk.h"
#include "env/test_shards.h"
#include "meta/etcd.h"
#include "meta/etcd_cluster_test.h"
#include "meta/model.h"
#include "meta/store_contract.h"

// Every store keeps the contract of the metadata store: SQLite in the real environment and in the
// simulated one, three real etcds, and the simulator's model of them.

namespace paceline::meta {
namespace {

template <class Shards>
class SqliteWorld final : public StoreWorld {
 public:
  SqliteWorld() : path_(world_.dir() + "/deep/meta.db") { reopen(); }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    auto open = [](env::Shard& on, std::string path) -> Task<Result<std::unique_ptr<Store>>> {
      co_return open_sqlite_store(on.disk(), on, std::move(path));
    };
    auto opened = wait(open(world_.shard(0), path_));
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  Shards world_;
  const std::string path_;
  std::unique_ptr<Store> store_;  // goes before its world
};

// One cluster for all tests; each has a prefix of its own.
class EtcdWorld final : public StoreWorld {
 public:
  EtcdWorld() {
    static EtcdCluster cluster;
    static int worlds = 0;
    url_ = fmt::format("etcd://{}/contract/{}", cluster.endpoints(), ++worlds);
    reopen();
  }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    auto open = [](env::Shard& on, std::string url) -> Task<Result<std::unique_ptr<Store>>> {
      auto options = parse_etcd_url(url);
      CHECK(options.has_value());
      co_return open_etcd_store(on, std::move(*options));
    };
    auto opened = wait(open(world_.shard(0), url_));
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  env::RealTestShards world_;
  std::string url_;
  std::unique_ptr<Store> store_;
};

class ModelWorld final : public StoreWorld {
 public:
  // Seeds a model with delays and cuts only: what else it does is no store's contract.
  ModelWorld() : model_(11), store_(model_.connect()) { model_.faults().watch_cut = 0.2; }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override { store_ = model_.connect(); }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  env::SimTestShards world_;
  Model model_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Model, StoreContract,
                         testing::Values(StoreParam{"simulated",
                                                    [] { return std::make_unique<ModelWorld>(); }}),
                         [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(Etcd, StoreContract,
                         testing::Values(StoreParam{"real",
                                                    [] { return std::make_unique<EtcdWorld>(); }}),
                         [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Sqlite, StoreContract,
    testing::Values(StoreParam{"real",
                               [] { return std::make_unique<SqliteWorld<env::RealTestShards>>(); }},
                    StoreParam{"simulated",
                               [] { return std::make_unique<SqliteWorld<env::SimTestShards>>(); }}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace paceline::meta
