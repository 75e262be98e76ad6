#include "env/disk.h"
#include "object/real_world_test.h"
#include "object/sim_world_test.h"
#include "object/store_contract.h"

// The folder store keeps the contract of the object store, in the real environment and in the
// simulated one.

namespace paceline::object {
namespace {

template <class World>
class FolderWorld final : public ObjectWorld {
 public:
  explicit FolderWorld(std::string path) : path_(std::move(path)) { reopen(); }
  FolderWorld()
    requires requires(World& world) { world.dir(); }
      : path_(world_.dir() + "/objects") {
    reopen();
  }

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
  World world_;
  const std::string path_;
  std::unique_ptr<Store> store_;  // goes before its world
};

INSTANTIATE_TEST_SUITE_P(
    Folder, ObjectContract,
    testing::Values(
        ObjectParam{"real", [] { return std::make_unique<FolderWorld<RealWorld>>(); }},
        ObjectParam{"simulated",
                    [] { return std::make_unique<FolderWorld<SimTestWorld>>("data/objects"); }}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace paceline::object
