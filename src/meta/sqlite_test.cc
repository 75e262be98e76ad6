#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>

#include "base/endian.h"
#include "env/disk.h"
#include "env/real_disk.h"
#include "meta/sqlite_database.h"
#include "meta/sqlite_wal.h"

// What the SQLite file survives and what it refuses: the blocking half, on the real disk.

namespace paceline::meta {
namespace {

class SqliteFile : public testing::Test {
 protected:
  SqliteFile() {
    char name[] = "/tmp/paceline-sqlite-test-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~SqliteFile() override { std::filesystem::remove_all(dir_); }

  std::string path() const { return dir_ + "/meta.db"; }
  std::string wal() const { return path() + "-wal"; }

  Result<std::unique_ptr<SqliteDatabase>> open(SqliteOptions options = {}) {
    auto database = std::make_unique<SqliteDatabase>(disk_, path(), 1, options);
    TRY_VOID(database->open());
    return database;
  }
  static Result<Revision> commit(SqliteDatabase& database, Transaction transaction) {
    auto one = std::make_shared<SqliteCommit>(SqliteCommit{std::move(transaction), std::nullopt});
    database.commit(std::span(&one, 1));
    return *one->outcome;
  }
  // Enough for SQLite to move its log into the file.
  void fill(int commits) {
    auto database = open();
    ASSERT_TRUE(database);
    for (int i = 0; i < commits; ++i)
      ASSERT_TRUE(
          commit(**database, Transaction{}.put("k" + std::to_string(i), std::string(20'000, 'v'))));
  }
  std::unique_ptr<env::File> file(const std::string& of) {
    env::OpenMode mode;
    mode.writable = true;
    auto opened = disk_.open(of, mode);
    CHECK(opened.has_value());
    return std::move(*opened);
  }
  void flip(const std::string& of, uint64_t position) {
    auto damaged = file(of);
    std::byte byte{};
    CHECK(damaged->read_at(position, MutableBytes(&byte, 1)) == size_t{1});
    byte ^= std::byte{0x10};
    CHECK(damaged->write_at(position, Bytes(&byte, 1)).has_value());
  }

  env::RealDisk disk_;
  std::string dir_;
};

TEST_F(SqliteFile, ASecondOpenIsRefusedInOneClearSentence) {
  auto first = open();
  ASSERT_TRUE(first);
  auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::in_use);
  EXPECT_EQ(second.error().message, "the metadata in " + path() + " is in use by another process");
  first->reset();
  EXPECT_TRUE(open());
}

TEST_F(SqliteFile, ANewerFormatIsRefused) {
  fill(1);
  {
    SqliteVfs vfs(disk_, 1);
    sqlite3* made = nullptr;
    ASSERT_EQ(sqlite3_open_v2(path().c_str(), &made, SQLITE_OPEN_READWRITE, vfs.name()), SQLITE_OK);
    SqliteConnection connection(made);
    ASSERT_EQ(sqlite3_exec(made, "PRAGMA locking_mode = EXCLUSIVE; UPDATE state SET format = 2",
                           nullptr, nullptr, nullptr),
              SQLITE_OK);
  }
  auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::unsupported);
}

TEST_F(SqliteFile, AForeignFileIsRefused) {
  const std::string text(10'000, 'x');
  ASSERT_TRUE(env::replace_file(disk_, path(), as_bytes(text)));
  auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_NE(opened.error().message.find(path()), std::string::npos);
}

// Reads everything there is; corrupt at open or by the reads is what a flipped byte must give.
Code read_all(Result<std::unique_ptr<SqliteDatabase>> database, size_t* entries) {
  if (!database) return database.error().code;
  auto range = (*database)->range("", "", 1'000'000);
  if (!range) return range.error().code;
  auto changes = (*database)->changes("", Revision(0));
  if (!changes) return changes.error().code;
  *entries = range->entries.size();
  return Code::cancelled;
}

TEST_F(SqliteFile, AFlippedByteAnywhereInAPageIsCorruptOrNeverRead) {
  fill(450);
  std::filesystem::resize_file(wal(), 0);
  const uint64_t pages = *file(path())->size() / SqliteVfs::kPageBytes;
  ASSERT_GT(pages, 900u);
  size_t whole = 0;
  ASSERT_EQ(read_all(open(), &whole), Code::cancelled);
  int caught = 0;
  for (uint64_t page = 0; page < pages; page += 97) {
    for (uint64_t at : {0u, 100u, 2000u, 4095u}) {
      flip(path(), page * SqliteVfs::kPageBytes + at);
      size_t entries = 0;
      const Code code = read_all(open(), &entries);
      // A free page is never read: then nothing may be missing.
      if (code == Code::corrupt) {
        ++caught;
      } else {
        EXPECT_EQ(entries, whole) << page << " " << at;
      }
      flip(path(), page * SqliteVfs::kPageBytes + at);
    }
  }
  EXPECT_GT(caught, 20);
}

TEST_F(SqliteFile, DamageInTheMiddleOfTheLogIsRefusedNotDropped) {
  fill(40);
  const uint64_t size = *file(wal())->size();
  flip(wal(), size / 2);
  auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_NE(opened.error().message.find(wal()), std::string::npos);
  flip(wal(), size / 2);
  flip(wal(), 17);  // its header
  opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  flip(wal(), 17);
  EXPECT_TRUE(open());
}

// The two salts of a frame say that it is of this round of the log; one of them damaged must not
// make a frame look like an old one.
TEST_F(SqliteFile, ADamagedSaltInAnyFrameBeforeTheLastTransactionIsRefused) {
  constexpr uint64_t kHeader = 32;
  constexpr uint64_t kFrame = 24 + SqliteVfs::kPageBytes;
  fill(10);
  const uint64_t size = *file(wal())->size();
  std::vector<uint64_t> ends;  // frames that end a transaction
  for (uint64_t at = kHeader; at + kFrame <= size; at += kFrame) {
    std::byte pages[4];
    ASSERT_TRUE(file(wal())->read_at(at + 4, pages));
    if (load_be<uint32_t>(pages) != 0) ends.push_back(at);
  }
  ASSERT_GT(ends.size(), 5u);
  for (uint64_t at = kHeader; at <= ends[ends.size() - 2]; at += kFrame) {
    for (uint64_t salt : {8u, 12u}) {
      SCOPED_TRACE(fmt::format("frame at {}, byte {}", at, salt));
      flip(wal(), at + salt);
      auto opened = open();
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, Code::corrupt);
      flip(wal(), at + salt);
    }
  }
  EXPECT_TRUE(open());
}

TEST_F(SqliteFile, ATornTailOfTheLogIsCutWhereverItTears) {
  fill(3);
  const uint64_t size = *file(wal())->size();
  {
    auto database = open();
    ASSERT_TRUE(database);
    ASSERT_EQ(commit(**database, Transaction{}.put("last", std::string(9000, 'z'))), Revision(4));
  }
  std::string log = *env::read_file(disk_, wal(), 1 << 24);
  ASSERT_GT(log.size(), size);
  for (size_t cut = size; cut < log.size(); cut += 613) {
    ASSERT_TRUE(env::replace_file(disk_, wal(), as_bytes(std::string_view(log).substr(0, cut))));
    auto database = open();
    ASSERT_TRUE(database) << cut << " " << database.error().to_string();
    EXPECT_FALSE(*(*database)->get("last")) << cut;
    EXPECT_TRUE(*(*database)->get("k2")) << cut;
  }
}

TEST_F(SqliteFile, OldChangesGoAndAWatchFromBeforeIsToldSo) {
  SqliteOptions options;
  options.history_changes_max = 100;
  auto database = open(options);
  ASSERT_TRUE(database);
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(commit(**database, Transaction{}.put("k", std::to_string(i))));
  auto old = (*database)->changes("", Revision(100));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, Code::compacted);
  auto kept = (*database)->changes("", Revision(205));
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->changes.size(), 95u);
  EXPECT_EQ(kept->changes.front().revision, Revision(206));
  EXPECT_EQ(kept->changes.back().value, "299");
  database->reset();
  auto again = open(options);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->changes("", Revision(100)).error().code, Code::compacted);
}

TEST_F(SqliteFile, ManyChangesComeInPagesOfWholeRevisions) {
  auto database = open();
  ASSERT_TRUE(database);
  for (int i = 0; i < 20; ++i) {
    Transaction transaction;
    for (int j = 0; j < 128; ++j) transaction.put("k" + std::to_string(j), "v");
    ASSERT_TRUE(commit(**database, transaction));
  }
  Revision after(0);
  size_t count = 0;
  for (;;) {
    auto page = (*database)->changes("k", after);
    ASSERT_TRUE(page);
    if (page->changes.empty()) break;
    EXPECT_EQ(page->changes.size() % 128, 0u);
    EXPECT_EQ(page->changes.back().revision, page->seen);
    count += page->changes.size();
    after = page->seen;
  }
  EXPECT_EQ(count, 20u * 128);
}

TEST_F(SqliteFile, TheLeasesOfAProcessThatHasEndedAreOver) {
  LeaseId lease;
  {
    auto database = open();
    ASSERT_TRUE(database);
    lease = (*database)->grant(std::chrono::seconds(60), {}).id;
    ASSERT_TRUE(commit(**database, Transaction{}
                                       .put("held", "1", lease)
                                       .put("freed", "1", lease)
                                       .put("gone", "1", lease)
                                       .put("free", "1")));
    ASSERT_EQ(commit(**database, Transaction{}.put("freed", "2").remove("gone")), Revision(2));
    ASSERT_EQ(commit(**database, Transaction{}.put("gone", "2")), Revision(3));
  }
  auto database = open();
  ASSERT_TRUE(database);
  EXPECT_FALSE(*(*database)->get("held"));
  for (const char* key : {"freed", "gone", "free"}) EXPECT_TRUE(*(*database)->get(key)) << key;
  auto changes = (*database)->changes("", Revision(3));
  ASSERT_TRUE(changes);
  ASSERT_EQ(changes->changes.size(), 1u);
  EXPECT_EQ(changes->changes[0].key, "held");
  EXPECT_FALSE((*database)->keep_alive(lease, {}));
  auto late = commit(**database, Transaction{}.put("held", "2", lease));
  EXPECT_EQ(late.error().code, Code::not_found);
  database->reset();
  database = open();  // nothing is left to end
  ASSERT_TRUE(database);
  EXPECT_EQ((*database)->range("", "", 10)->revision, Revision(4));
}

TEST_F(SqliteFile, TransactionsOfOneGroupSeeEachOtherInOrder) {
  auto database = open();
  ASSERT_TRUE(database);
  std::vector<std::shared_ptr<SqliteCommit>> group;
  for (int i = 0; i < 3; ++i) {
    Transaction transaction = Transaction{}.if_absent("one").put("one", std::to_string(i));
    group.push_back(std::make_shared<SqliteCommit>(SqliteCommit{transaction, std::nullopt}));
  }
  group.push_back(
      std::make_shared<SqliteCommit>(SqliteCommit{Transaction{}.put("two", ""), std::nullopt}));
  (*database)->commit(group);
  ASSERT_TRUE(*group[0]->outcome);
  EXPECT_EQ(group[0]->outcome->value(), Revision(1));
  EXPECT_EQ(group[1]->outcome->error().code, Code::conflict);
  EXPECT_EQ(group[2]->outcome->error().code, Code::conflict);
  EXPECT_EQ(group[3]->outcome->value(), Revision(2));
}

}  // namespace
}  // namespace paceline::meta
