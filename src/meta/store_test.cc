#include "env/disk.h"
#include "meta/real_world_test.h"
#include "meta/store_contract.h"

// The SQLite store keeps the contract of the metadata store.

namespace paceline::meta {
namespace {

class RealSqliteWorld final : public StoreWorld {
 public:
  RealSqliteWorld() { reopen(); }
  ~RealSqliteWorld() override { store_.reset(); }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    auto open = [](env::Shard& on, std::string path) -> Task<Result<std::unique_ptr<Store>>> {
      co_return open_sqlite_store(on.disk(), on, std::move(path));
    };
    auto opened = wait(open(world_.shard(0), world_.dir() + "/deep/meta.db"));
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  RealWorld world_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    RealSqlite, StoreContract,
    testing::Values(StoreParam{"real", [] { return std::make_unique<RealSqliteWorld>(); }}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace paceline::meta
