#include "env/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace paceline::env {
namespace {

constexpr OpenMode kCreate{.create = OpenMode::Create::if_missing, .writable = true};

std::unique_ptr<File> open(SimDisk& disk, const std::string& path) {
  auto file = disk.open(path, kCreate);
  EXPECT_TRUE(file) << file.error().to_string();
  return std::move(*file);
}
std::unique_ptr<File> open_durable(SimDisk& disk, const std::string& path) {
  auto file = open(disk, path);
  EXPECT_TRUE(disk.sync_dir(parent_dir(path)));
  return file;
}

TEST(SimDisk, SyncedBytesSurviveEveryCrashAndUnsyncedOnesNotAlways) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SimDisk disk(seed);
    auto file = open_durable(disk, "/f");
    ASSERT_TRUE(file->write_at(0, as_bytes("synced")));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_at(6, as_bytes("-one")));
    ASSERT_TRUE(file->write_at(10, as_bytes("-two")));
    disk.crash();
    EXPECT_FALSE(file->size()) << "a handle of the time before";
    auto text = read_file(disk, "/f", 100);
    ASSERT_TRUE(text);
    EXPECT_EQ(text->substr(0, 6), "synced") << "seed " << seed;
    for (char& c : *text)
      if (c == '\0') c = '0';
    outcomes.insert(text->substr(6));
  }
  EXPECT_TRUE(outcomes.contains(""));
  EXPECT_TRUE(outcomes.contains("-one"));
  EXPECT_TRUE(outcomes.contains("-one-two"));
  EXPECT_TRUE(outcomes.contains("0000-two"));  // the later one without the earlier one
  EXPECT_TRUE(outcomes.contains("-one-t"));    // torn
  EXPECT_LE(outcomes.size(), 10u);
}

TEST(SimDisk, NamesAreDurableAfterSyncDirOnly) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_dirs("/d"));
    auto old_file = open_durable(disk, "/d/old");
    ASSERT_TRUE(old_file->write_at(0, as_bytes("old")));
    ASSERT_TRUE(old_file->sync());
    auto gone = open_durable(disk, "/d/gone");
    auto fresh = open(disk, "/d/fresh");
    ASSERT_TRUE(fresh->write_at(0, as_bytes("new")));
    ASSERT_TRUE(fresh->sync());
    ASSERT_TRUE(disk.rename("/d/fresh", "/d/old"));
    ASSERT_TRUE(disk.remove("/d/gone"));
    disk.crash();
    auto text = read_file(disk, "/d/old", 10);
    ASSERT_TRUE(text) << "a rename replaces at once or not at all";
    EXPECT_TRUE(*text == "old" || *text == "new");
    outcomes.insert(*text + (*disk.exists("/d/gone") ? "+gone" : "") +
                    (*disk.exists("/d/fresh") ? "+fresh" : ""));
  }
  EXPECT_TRUE(outcomes.contains("old+gone"));
  EXPECT_TRUE(outcomes.contains("new"));
  EXPECT_TRUE(outcomes.contains("old+gone+fresh"));
  EXPECT_TRUE(outcomes.contains("new+gone"));
}

TEST(SimDisk, ReplacedFilesAreOldOrNewAndNewOnceDurable) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_dirs("/d"));
    ASSERT_TRUE(replace_file(disk, "/d/f", as_bytes("first version")));
    disk.power_off_after(seed % 12);
    const bool durable = replace_file(disk, "/d/f", as_bytes("second")).has_value();
    disk.crash();
    auto text = read_file(disk, "/d/f", 100);
    ASSERT_TRUE(text);
    EXPECT_TRUE(*text == "second" || (!durable && *text == "first version"))
        << "seed " << seed << ": " << *text;
  }
}

TEST(SimDisk, WithoutPowerEveryCallFailsAndChangesNothing) {
  SimDisk disk(1);
  auto file = open_durable(disk, "/f");
  ASSERT_TRUE(file->write_at(0, as_bytes("abc")));
  ASSERT_TRUE(file->sync());
  disk.power_off_after(1);
  EXPECT_TRUE(file->write_at(3, as_bytes("d")));
  EXPECT_EQ(file->write_at(0, as_bytes("zzz")).error().code, Code::io_error);
  EXPECT_TRUE(disk.powered_off());
  EXPECT_EQ(file->sync().error().code, Code::io_error);
  EXPECT_EQ(file->size().error().code, Code::io_error);
  EXPECT_EQ(disk.remove("/f").error().code, Code::io_error);
  EXPECT_EQ(disk.make_dirs("/d").error().code, Code::io_error);
  EXPECT_EQ(disk.exists("/f").error().code, Code::io_error);
  EXPECT_EQ(disk.lock("/l").error().code, Code::io_error);
  disk.crash();
  EXPECT_FALSE(disk.powered_off());
  EXPECT_EQ(read_file(disk, "/f", 10)->substr(0, 3), "abc");
  EXPECT_FALSE(*disk.exists("/d"));
}

// The kernel's way: after a failed sync the next one succeeds and has written nothing.
TEST(SimDisk, AFailedSyncLosesBytesThatALaterSyncDoesNotWrite) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk(seed);
    auto file = open_durable(disk, "/f");
    ASSERT_TRUE(file->write_at(0, as_bytes("abc")));
    disk.faults().sync_error = 1;
    EXPECT_EQ(file->sync().error().code, Code::io_error);
    disk.faults().sync_error = 0;
    EXPECT_TRUE(file->sync());
    std::byte read[3];
    EXPECT_EQ(*file->read_at(0, read), 3u);
    EXPECT_EQ(as_text(read), "abc");
    disk.crash();
    lost += *read_file(disk, "/f", 10) != "abc";
  }
  EXPECT_GT(lost, 10);
  EXPECT_LT(lost, 40);
}

TEST(SimDisk, OneSyncOrWriteFailsAndTheNextOneDoesNot) {
  SimDisk disk(3);
  auto file = open_durable(disk, "/f");
  disk.faults().failing_writes = 1;
  disk.faults().failing_syncs = 1;
  EXPECT_EQ(file->write_at(0, as_bytes("abc")).error().code, Code::io_error);
  EXPECT_TRUE(file->write_at(0, as_bytes("abc")));
  EXPECT_EQ(file->sync().error().code, Code::io_error);
  EXPECT_TRUE(file->sync());
}

TEST(SimDisk, AFullDiskRefusesAndGivesRoomBack) {
  SimDisk disk(3);
  disk.faults().capacity_bytes = 100;
  auto file = open(disk, "/f");
  EXPECT_TRUE(file->write_at(0, as_bytes(std::string(90, 'x'))));
  EXPECT_EQ(*disk.free_bytes("/"), 10u);
  EXPECT_EQ(file->write_at(90, as_bytes(std::string(20, 'x'))).error().code, Code::no_space);
  EXPECT_LE(*file->size(), 100u);
  EXPECT_EQ(file->allocate(200).error().code, Code::no_space);
  EXPECT_TRUE(file->write_at(0, as_bytes("overwriting needs no room")));
  ASSERT_TRUE(file->truncate(0));
  EXPECT_TRUE(file->allocate(100));
}

TEST(SimDisk, FaultsOfReadsWritesAndTime) {
  SimDisk disk(4);
  auto file = open(disk, "/f");
  const std::string text(100, '\0');
  ASSERT_TRUE(file->write_at(0, as_bytes(text)));
  disk.faults().bit_flip = 1;
  std::string got(100, 'x');
  ASSERT_TRUE(file->read_at(0, MutableBytes(reinterpret_cast<std::byte*>(got.data()), 100)));
  EXPECT_NE(got, text);
  disk.faults() = {.read_error = 1};
  EXPECT_EQ(read_file(disk, "/f", 100).error().code, Code::io_error);
  disk.faults() = {.write_error = 1};
  EXPECT_EQ(file->write_at(0, as_bytes("a")).error().code, Code::io_error);
  disk.faults() = {.slow_sync = 1, .slow_sync_max = std::chrono::seconds(5)};
  EXPECT_TRUE(file->sync());
  const Duration delay = disk.take_delay();
  EXPECT_GT(delay, Duration(0));
  EXPECT_LE(delay, std::chrono::seconds(5));
  EXPECT_EQ(disk.take_delay(), Duration(0));
  disk.faults() = {};
  ASSERT_TRUE(disk.flip_stored_bit("/f", 8 * 50));
  EXPECT_EQ((*read_file(disk, "/f", 100))[50], '\x01');
  EXPECT_EQ(disk.flip_stored_bit("/f", 8 * 100).error().code, Code::out_of_range);
}

TEST(SimDisk, APreallocatedFileCostsNothingAndReadsAsZeros) {
  SimDisk disk(5);
  auto file = open_durable(disk, "/f");
  ASSERT_TRUE(file->allocate(1ull << 40));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(file->write_at((1ull << 40) - 3, as_bytes("end")));
  ASSERT_TRUE(file->sync());
  disk.crash();
  auto again = open(disk, "/f");
  EXPECT_EQ(*again->size(), 1ull << 40);
  std::byte tail[5];
  EXPECT_EQ(*again->read_at((1ull << 40) - 5, tail), 5u);
  EXPECT_EQ(as_text(tail), std::string_view("\0\0end", 5));
}

TEST(SimDisk, TheEndOfAProcessReleasesItsLocksAndVoidsItsHandles) {
  SimDisk disk(6);
  auto lock = disk.lock("/lock");
  ASSERT_TRUE(lock);
  auto file = open(disk, "/f");
  ASSERT_TRUE(file->write_at(0, as_bytes("in the page cache")));
  disk.forget_handles();
  auto next = disk.lock("/lock");
  EXPECT_TRUE(next);
  lock->reset();
  EXPECT_EQ(disk.lock("/lock").error().code, Code::in_use);  // the new holder's stays
  EXPECT_FALSE(file->write_at(0, as_bytes("a zombie")));
  EXPECT_EQ(*read_file(disk, "/f", 100), "in the page cache");
}

}  // namespace
}  // namespace paceline::env
