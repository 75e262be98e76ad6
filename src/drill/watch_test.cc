#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "drill/drill.h"
#include "env/disk.h"
#include "env/test_shards.h"

namespace paceline::drill {
namespace {

using testing::HasSubstr;

class Watch : public testing::Test {
 protected:
  Watch() {
    for (const char* name : {"r1", "r2"}) {
      std::filesystem::create_directories(runs_ + "/" + name);
      std::ofstream(runs_ + "/" + name + "/run.json") << "{}";
      std::ofstream(runs_ + "/" + name + "/timeline.ndjson") << "";
    }
  }
  int watch(const std::string& run) {
    int code = -1;
    auto body = [](env::Shard* shard, std::string folder, int* into) -> Task<void> {
      *into = co_await drill::watch(*shard, folder);
    };
    testing::internal::CaptureStdout();
    shards_.run(0, body(&shards_.shard(0), runs_ + "/" + run, &code));
    said_ = testing::internal::GetCapturedStdout();
    return code;
  }
  env::RealTestShards shards_;
  const std::string runs_ = shards_.dir() + "/drills";
  std::string said_;
};

TEST_F(Watch, ARunWhoseDrillIsGoneEndsWithASentence) {
  std::ofstream(runs_ + "/drill.lock") << "";
  EXPECT_EQ(watch("r2"), 7);
  EXPECT_THAT(said_, HasSubstr("the drill is gone, and this run has no end"));
}

TEST_F(Watch, ALaterDrillIsNotThisOne) {
  const auto lock = shards_.shard(0).disk().lock(runs_ + "/drill.lock");
  ASSERT_TRUE(lock);
  EXPECT_EQ(watch("r1/"), 7);
}

TEST_F(Watch, OneThatWasBroughtFromElsewhereHasNoDrill) {
  EXPECT_EQ(watch("r2"), 7);
}

}  // namespace
}  // namespace paceline::drill
