#include <gtest/gtest.h>

#include <map>

#include "env/random.h"
#include "env/sim_disk.h"
#include "object/folder.h"

// The folder store on a disk that loses power and whose syncs fail.

namespace paceline::object {
namespace {

// What is known of a key. Its body follows from the key and the attempt, so half of one shows.
enum class Known { there, absent, either };
struct Fate {
  Known known = Known::absent;
  uint64_t attempt = 0;
};

constexpr uint64_t kPieceFreed = 16;  // most bodies are longer

std::string body_of(const std::string& key, uint64_t attempt) {
  std::string text = key + "#" + std::to_string(attempt) + "#";
  while (text.size() < (attempt % 7) * 3000) text += text;
  return text;
}

class Trial {
 public:
  explicit Trial(uint64_t seed) : random_(seed), disk_(seed + 1) {}

  env::SimDisk& disk() { return disk_; }
  env::Random& random() { return random_; }

  Result<void> open() {
    folder_ = std::make_unique<Folder>(disk_, "data/objects", kPieceFreed);
    return folder_->open();
  }
  void crash() {
    folder_.reset();
    disk_.crash();
  }

  // One put or remove of a random key.
  void step() {
    const uint64_t number = random_.below(30);
    const std::string key = "f" + std::to_string(number % 4) + "/g" + std::to_string(number % 3) +
                            "/k" + std::to_string(number);
    Fate& fate = fates_[key];
    if (random_.chance(0.3)) {
      fate.known = remove(key)                   ? Known::absent
                   : fate.known == Known::absent ? Known::absent
                                                 : Known::either;
      return;
    }
    if (fate.known == Known::either) return;  // one open question a key
    const uint64_t attempt = ++attempts_;
    std::vector<Slice> body{Slice::copy_of(as_bytes(body_of(key, attempt)))};
    auto put = folder_->make_folder(key);
    if (put) put = folder_->put(key, attempt, body);
    if (put) {
      EXPECT_EQ(fate.known, Known::absent);
      fate = {Known::there, attempt};
    } else if (put.error().code == Code::maybe_written && fate.known == Known::absent) {
      fate = {Known::either, attempt};
    } else if (put.error().code == Code::already_exists) {
      EXPECT_EQ(fate.known, Known::there) << key;
    }
  }

  // Sometimes it ends in the middle, as a process does.
  bool remove(const std::string& key) {
    auto retired = folder_->retire(key, ++attempts_);
    if (!retired) return false;
    while (*retired && !random_.chance(0.1)) {
      auto gone = folder_->shrink(**retired);
      if (!gone || *gone) break;
    }
    return true;
  }

  // Compares, and takes what is there for the truth from then on.
  testing::AssertionResult check() {
    size_t there = 0;
    for (auto& [key, fate] : fates_) {
      auto size = folder_->size(key);
      if (!size && size.error().code != Code::not_found)
        return testing::AssertionFailure() << key << ": " << size.error().to_string();
      if (fate.known == Known::there && !size)
        return testing::AssertionFailure() << key << " is lost";
      if (fate.known == Known::absent && size)
        return testing::AssertionFailure() << key << " is back";
      if (fate.known == Known::either) (size ? found_ : missing_)++;
      fate.known = size ? Known::there : Known::absent;
      if (!size) continue;
      ++there;
      auto body = folder_->get(key, 0, *size);
      if (!body) return testing::AssertionFailure() << key << ": " << body.error().to_string();
      if (to_string(body->bytes()) != body_of(key, fate.attempt))
        return testing::AssertionFailure() << key << " has another body";
    }
    auto page = folder_->list("", "", 1000);
    if (!page) return testing::AssertionFailure() << page.error().to_string();
    if (page->objects.size() != there)
      return testing::AssertionFailure()
             << page->objects.size() << " listed, " << there << " there";
    return testing::AssertionSuccess();
  }
  int found() const { return found_; }
  int missing() const { return missing_; }

 private:
  env::Random random_;
  env::SimDisk disk_;
  std::unique_ptr<Folder> folder_;
  std::map<std::string, Fate> fates_;
  uint64_t attempts_ = 0;
  int found_ = 0;
  int missing_ = 0;
};

TEST(FolderCrash, APowerCutAnywhereLosesNothingAcknowledgedAndShowsNoHalfObject) {
  int found = 0;
  int missing = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Trial trial(seed);
    for (int round = 0; round < 10; ++round) {
      trial.disk().power_off_after(trial.random().below(100));
      // A start may be cut as well.
      if (trial.open())
        while (!trial.disk().powered_off()) trial.step();
      trial.crash();
      ASSERT_TRUE(trial.open()) << "seed " << seed << " round " << round;
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      trial.crash();
    }
    found += trial.found();
    missing += trial.missing();
  }
  EXPECT_GT(found, 20);
  EXPECT_GT(missing, 20);
}

TEST(FolderCrash, AfterAFailedWriteOrSyncWhatCanBeReadStays) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Trial trial(seed);
    ASSERT_TRUE(trial.open());
    for (int round = 0; round < 10; ++round) {
      trial.disk().faults().sync_error = 0.2;
      trial.disk().faults().write_error = 0.2;
      for (int i = 0; i < 30; ++i) trial.step();
      trial.disk().faults() = {};
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
      trial.crash();
      ASSERT_TRUE(trial.open()) << "seed " << seed << " round " << round;
      ASSERT_TRUE(trial.check()) << "seed " << seed << " round " << round;
    }
  }
}

}  // namespace
}  // namespace paceline::object
