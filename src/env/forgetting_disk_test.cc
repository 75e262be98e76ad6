#include "env/forgetting_disk.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "env/real_env.h"

namespace paceline::env {
namespace {

TEST(ForgettingDisk, WhatWasNotSyncedIsSeenByThisProcessAndByNobodyElse) {
  RealEnv world({.shards = 1});
  Disk& real = world.shard(0).disk();
  const std::string folder =
      std::filesystem::temp_directory_path() / ("forget-" + std::to_string(getpid()));
  ASSERT_TRUE(real.make_dirs(folder));
  {
    auto disk = make_forgetting_disk(real);
    const std::string path = folder + "/a";
    auto file = disk->open(path, {.create = OpenMode::Create::if_missing, .writable = true});
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->write_at(0, as_bytes("synced")));
    ASSERT_TRUE((*file)->sync());
    ASSERT_TRUE((*file)->write_at(2, as_bytes("XY")));
    ASSERT_TRUE((*file)->write_at(8, as_bytes("end")));
    EXPECT_EQ(*read_file(*disk, path, 100), std::string("syXYed\0\0end", 11));
    EXPECT_EQ(*read_file(real, path, 100), "synced");
    ASSERT_TRUE(disk->rename(path, folder + "/b"));
    EXPECT_EQ(*read_file(*disk, folder + "/b", 100), std::string("syXYed\0\0end", 11));
    auto reader = disk->open(folder + "/b", {});
    ASSERT_TRUE(reader);
    ASSERT_TRUE((*reader)->sync());  // of the file, whoever wrote to it
    EXPECT_EQ(*read_file(real, folder + "/b", 100), std::string("syXYed\0\0end", 11));
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace paceline::env
