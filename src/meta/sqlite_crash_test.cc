#include <gtest/gtest.h>

#include "env/sim_disk.h"
#include "meta/sqlite_database.h"

// The SQLite store on a disk that loses power, fails and fills up at every kind of step.

namespace paceline::meta {
namespace {

using Contents = std::map<std::string, std::string>;

// Commits random transactions and knows what must be there: all that was acknowledged, and of the
// last unacknowledged transaction all or nothing.
class Trial {
 public:
  explicit Trial(uint64_t seed) : random_(seed), disk_(seed + 1) {}

  env::SimDisk& disk() { return disk_; }
  env::Random& random() { return random_; }
  Code code() const { return code_; }
  int64_t revision() const { return revision_; }
  uint64_t bytes_used() {
    return std::numeric_limits<uint64_t>::max() - *disk_.free_bytes("dir");  // of a boundless disk
  }

  // False if a fault stopped it.
  bool open() {
    database_.reset();
    SqliteOptions options;
    options.checkpoint_pages = 50;  // so that many faults fall into one
    database_ = std::make_unique<SqliteDatabase>(disk_, "dir/meta.db", random_.next(), options);
    auto opened = database_->open();
    if (!opened) {
      code_ = opened.error().code;
      message_ = opened.error().to_string();
      database_.reset();
    }
    return opened.has_value();
  }
  // The power goes within so many changes.
  void arm_power_off(uint64_t changes) { disk_.power_off_after(random_.below(changes)); }
  void crash() {
    database_.reset();
    disk_.crash();
    disk_.faults() = {};
  }
  // Commits until the fault stops one; then the disk works again.
  void commit_until(env::SimDisk::Faults faults) {
    disk_.faults() = faults;
    while (commit()) {
    }
    disk_.faults() = {};
  }

  // False if it was not acknowledged.
  bool commit() {
    Transaction transaction;
    Contents after = contents_;
    for (uint64_t i = 0, count = random_.between(1, 4); i < count; ++i) {
      std::string key = "k" + std::to_string(i * 10 + random_.below(10));
      if (after.contains(key) && random_.chance(0.3)) {
        after.erase(key);
        transaction.remove(std::move(key));
      } else {
        std::string value(random_.below(random_.chance(0.1) ? 20'000 : 100),
                          static_cast<char>(random_.next()));
        after[key] = value;
        transaction.put(std::move(key), std::move(value));
      }
    }
    auto one = std::make_shared<SqliteCommit>(SqliteCommit{std::move(transaction), std::nullopt});
    database_->commit(std::span(&one, 1));
    const Result<Revision>& outcome = *one->outcome;
    if (outcome) {
      EXPECT_EQ(outcome->value, revision_ + 1);
      revision_ = outcome->value;
      contents_ = std::move(after);
      return true;
    }
    code_ = outcome.error().code;
    unknown_ = std::move(after);
    return false;
  }

  // Reads everything and compares; what is there is the truth from then on.
  testing::AssertionResult check() {
    auto range = database_->range("", "", 1000);
    if (!range) return testing::AssertionFailure() << range.error().to_string();
    Contents found;
    for (const Entry& entry : range->entries) found[entry.key] = entry.value;
    const bool kept = found == contents_ && range->revision.value == revision_;
    const bool wrote = unknown_ && found == *unknown_ && range->revision.value == revision_ + 1;
    if (!kept && !wrote)
      return testing::AssertionFailure()
             << "revision " << range->revision.value << " after " << revision_;
    written_ = wrote;
    contents_ = std::move(found);
    revision_ = range->revision.value;
    unknown_.reset();
    return check_history();
  }
  testing::AssertionResult survives_power_cut() {
    crash();
    if (!open()) return testing::AssertionFailure() << message_;
    return check();
  }
  // Whether the last check found the unacknowledged transaction; told once.
  bool written() { return std::exchange(written_, false); }
  const std::string& message() const { return message_; }

 private:
  // Every revision is in the history exactly once, and its last values are the ones in the table.
  testing::AssertionResult check_history() {
    Contents replayed;
    Revision after(0);
    for (;;) {
      auto page = database_->changes("", after);
      if (!page) return testing::AssertionFailure() << page.error().to_string();
      if (page->changes.empty()) break;
      for (const Change& change : page->changes) {
        if (change.revision > after + 1)
          return testing::AssertionFailure() << "a hole after " << after.value;
        after = change.revision;
        if (change.value) {
          replayed[change.key] = *change.value;
        } else {
          replayed.erase(change.key);
        }
      }
    }
    if (replayed != contents_ || after.value != revision_)
      return testing::AssertionFailure()
             << "the history does not lead to the table at " << revision_;
    return testing::AssertionSuccess();
  }

  env::Random random_;
  env::SimDisk disk_;
  std::unique_ptr<SqliteDatabase> database_;
  Contents contents_;
  std::optional<Contents> unknown_;
  int64_t revision_ = 0;
  bool written_ = false;
  Code code_{};
  std::string message_;
};

TEST(SqliteCrash, APowerCutAnywhereKeepsEveryAcknowledgedCommit) {
  int cut_commits = 0;
  int wholly_there = 0;
  int checkpoints = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Trial trial(seed);
    for (int round = 0; round < 12; ++round) {
      trial.arm_power_off(trial.random().chance(0.3) ? 40 : 600);
      bool cut = !trial.open();
      for (int i = 0; i < 200 && !cut; ++i) {
        cut = !trial.commit();
        cut_commits += cut;
      }
      trial.crash();
      // Again and again while it recovers. What can be read in between must stay, too.
      while (trial.random().chance(0.5)) {
        trial.arm_power_off(30);
        if (trial.open()) ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
        wholly_there += trial.written();
        trial.crash();
      }
      ASSERT_TRUE(trial.open()) << "seed " << seed << " round " << round << " " << trial.message();
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      wholly_there += trial.written();
      trial.crash();
    }
    auto file = trial.disk().open("dir/meta.db", {});
    ASSERT_TRUE(file);
    checkpoints += *(*file)->size() > uint64_t{20} * SqliteVfs::kPageBytes;
  }
  // The test must have met what it is about.
  EXPECT_GT(cut_commits, 100);
  EXPECT_GT(wholly_there, 3);
  EXPECT_GT(checkpoints, 20);
}

TEST(SqliteCrash, AFailedWriteOrSyncIsReadBackAndTheTruthIsDurable) {
  int unknown = 0;
  int wholly_there = 0;
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    Trial trial(seed);
    ASSERT_TRUE(trial.open());
    for (int round = 0; round < 10; ++round) {
      env::SimDisk::Faults faults;
      (trial.random().chance(0.5) ? faults.write_error : faults.sync_error) = 0.05;
      trial.commit_until(faults);
      ASSERT_TRUE(trial.code() == Code::maybe_written || trial.code() == Code::io_error)
          << "seed " << seed << ": " << code_name(trial.code());
      unknown += trial.code() == Code::maybe_written;
      // The store reads the truth back by itself, and a power cut does not change it any more.
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      wholly_there += trial.written();
      ASSERT_TRUE(trial.survives_power_cut()) << "seed " << seed << " round " << round;
      ASSERT_FALSE(trial.written()) << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(unknown, 100);
  EXPECT_GT(wholly_there, 20);
}

TEST(SqliteCrash, AFullDiskRefusesTheCommitAndNothingElse) {
  int refused = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Trial trial(seed);
    ASSERT_TRUE(trial.open());
    for (int round = 0; round < 10; ++round) {
      env::SimDisk::Faults full;
      full.capacity_bytes = trial.bytes_used() + trial.random().below(60'000);
      trial.commit_until(full);
      const bool certain = trial.code() == Code::no_space;
      refused += certain;
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      if (certain) ASSERT_FALSE(trial.written()) << "seed " << seed << " round " << round;
      ASSERT_TRUE(trial.commit()) << "seed " << seed << " round " << round;
      if (trial.random().chance(0.5)) continue;
      ASSERT_TRUE(trial.survives_power_cut()) << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(refused, 100);
}

// What a commit that found the disk full has left in the log stands behind the next one. If that
// one is torn by a power cut, what it left is no proof that anything was lost.
TEST(SqliteCrash, APowerCutAfterAFullDiskIsNoDamage) {
  int refused = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Trial trial(seed);
    ASSERT_TRUE(trial.open());
    for (int round = 0; round < 10; ++round) {
      env::SimDisk::Faults full;
      full.capacity_bytes = trial.bytes_used() + trial.random().below(60'000);
      trial.commit_until(full);
      refused += trial.code() == Code::no_space;
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      trial.arm_power_off(30);
      while (trial.commit()) {
      }
      ASSERT_TRUE(trial.survives_power_cut()) << "seed " << seed << " round " << round;
      (void)trial.written();
    }
  }
  EXPECT_GT(refused, 1000);
}

// A sync fails, and there is no room to write a new log: what the old one still shows is not
// durable, and must be before anything is acknowledged behind it.
TEST(SqliteCrash, ASyncThatFailsOnAFullDiskLosesNothing) {
  int renewed_in_place = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Trial trial(seed);
    ASSERT_TRUE(trial.open());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(trial.commit());
    env::SimDisk::Faults faults;
    faults.capacity_bytes = trial.bytes_used() + 30'000;
    faults.failing_syncs = 1;
    trial.disk().faults() = faults;
    ASSERT_FALSE(trial.commit());
    faults.failing_syncs = 0;
    trial.disk().faults() = faults;
    ASSERT_TRUE(trial.check()) << "seed " << seed;
    (void)trial.written();
    for (int i = 0; i < 3 && trial.commit(); ++i) ++renewed_in_place;
    ASSERT_TRUE(trial.check()) << "seed " << seed;
    ASSERT_TRUE(trial.survives_power_cut()) << "seed " << seed;
  }
  EXPECT_GT(renewed_in_place, 100);
}

}  // namespace
}  // namespace paceline::meta
