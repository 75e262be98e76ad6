#include "env/disk.h"
#include "env/test_shards.h"
#include "object/store_contract.h"

// The folder store keeps the contract of the object store, in the real environment and in the
// simulated one.

namespace paceline::object {
namespace {

template <class Shards>
class FolderWorld final : public ObjectWorld {
 public:
  FolderWorld() : path_(world_.dir() + "/objects") { reopen(); }

  env::Shard& shard(size_t index) override { return world_.shard(index); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    auto opened = open_folder_store(world_.shard(0).disk(), path_);
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { world_.run(index, std::move(task)); }

 private:
  Shards world_;
  const std::string path_;
  std::unique_ptr<Store> store_;  // goes before its world
};

INSTANTIATE_TEST_SUITE_P(
    Folder, ObjectContract,
    testing::Values(
        ObjectParam{"real", [] { return std::make_unique<FolderWorld<env::RealTestShards>>(); }},
        ObjectParam{"simulated",
                    [] { return std::make_unique<FolderWorld<env::SimTestShards>>(); }}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace paceline::object
