#include "sim/faulty_objects.h"
#include "sim/wire_world_test.h"

namespace paceline::sim {
namespace {

using namespace std::chrono_literals;

class Offline : public WireTest {};
PACELINE_ON_ONE_AND_TWO_SHARDS(Offline);

// A failing store degrades, it does not halt. A tail that is uploaded before its partition has been
// opened has left the log cache by then, so that the opening depends on the store.
TEST_P(Offline, APartitionThatCannotReadItsTailIsServedOnceTheStoreAnswers) {
  constexpr int32_t kPartitions = 20;
  options().memory_bytes = 64u << 10;
  options().upload_bytes = 16u << 10;
  ObjectFaults faults;
  options().open_objects = [&faults](env::Disk& disk) -> Result<std::unique_ptr<object::Store>> {
    TRY(auto real, object::open_folder_store(disk, "/data/objects"));
    return make_faulty_objects(std::move(real), faults, 1);
  };
  create_topic("t", kPartitions);
  faults.gone = true;
  const std::string value(3000, 'x');
  for (int32_t partition = 0; partition < kPartitions; ++partition)
    EXPECT_EQ(name(produce("t", partition, batch({value})).error_code), "NONE");
  client_.reset();
  broker_.kill();
  faults.gone = false;
  faults.cut = 0.8;
  broker_.start();
  world_.run_for(3s);
  faults.cut = 0;
  world_.run_for(6s);
  ASSERT_TRUE(broker_.serving());
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    EXPECT_EQ(values_from("t", partition), std::vector<std::string>{value});
    EXPECT_EQ(name(produce("t", partition, batch({"y"})).error_code), "NONE");
  }
}

// Started empty, it would collect everything there is as orphans.
TEST_P(Offline, AFolderWithDataAndWithoutMetadataIsRefused) {
  create_topic("t");
  EXPECT_EQ(name(produce("t", 0, batch({"x"})).error_code), "NONE");
  client_.reset();
  broker_.kill();
  for (const char* file : {"/data/metadata.sqlite", "/data/metadata.sqlite-wal"})
    (void)broker_.disk().remove(file);
  broker_.start();
  ASSERT_TRUE(world_.run_until([&] { return !broker_.running(); }, 10s));
  ASSERT_TRUE(broker_.refused());
  EXPECT_EQ(broker_.refused()->message,
            "/data/metadata.sqlite is missing, but /data/wal holds data: restore the file, or "
            "choose an empty folder");
}

// A copy of two lives ago knows none of what was acknowledged since. Each start that takes an
// incarnation before it looks brings the metadata nearer to the data, until it serves.
TEST_P(Offline, MetadataOlderThanTheDataAreRefusedForGood) {
  create_topic("t");
  restart(End::kill);
  const std::vector<std::string> names{"/data/metadata.sqlite", "/data/metadata.sqlite-wal"};
  std::map<std::string, std::string> copies;
  client_.reset();
  broker_.kill();
  for (const std::string& path : names)
    if (auto text = env::read_file(broker_.disk(), path, 64u << 20)) copies[path] = *text;
  ASSERT_FALSE(copies.empty());
  for (int life = 0; life < 2; ++life) {
    boot();
    EXPECT_EQ(name(produce("t", 0, batch({"x"})).error_code), "NONE");
    client_.reset();
    broker_.kill();
  }
  for (const std::string& path : names) {
    (void)broker_.disk().remove(path);
    if (copies.contains(path))
      ASSERT_TRUE(env::replace_file(broker_.disk(), path, as_bytes(copies[path])));
  }
  for (int start = 0; start < 5; ++start) {
    broker_.start();
    ASSERT_TRUE(world_.run_until([&] { return !broker_.running(); }, 10s));
    ASSERT_TRUE(broker_.refused());
    EXPECT_EQ(broker_.refused()->message,
              "/data/metadata.sqlite is older than the data: there is /data/wal/1.4, of "
              "incarnation 4 of broker 1, and the metadata know 2; restore the newest "
              "metadata.sqlite together with its metadata.sqlite-wal");
  }
}

}  // namespace
}  // namespace paceline::sim
