#include "env/disk.h"
#include "object/real_world_test.h"
#include "object/store_contract.h"

// The folder store keeps the contract of the object store.

namespace paceline::object {
namespace {

class RealFolderWorld final : public ObjectWorld {
 public:
  RealFolderWorld() { reopen(); }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    auto opened = open_folder_store(world_.shard(0).disk(), world_.dir() + "/objects");
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  RealWorld world_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    RealFolder, ObjectContract,
    testing::Values(ObjectParam{"real", [] { return std::make_unique<RealFolderWorld>(); }}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace paceline::object
