#include "env/commits_first.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

// A reader that gives way once, on a thread of its own.
class Reader {
 public:
  explicit Reader(CommitsFirst& all)
      : thread_([this, &all] {
          all.give_way();
          went_ = true;
        }) {}
  ~Reader() { wait(); }
  bool went() const { return went_; }
  void wait() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> went_ = false;
  std::thread thread_;
};

void wait_for_waiting(const CommitsFirst& all) {
  while (all.waiting() == 0) std::this_thread::yield();
}

TEST(CommitsFirst, WithoutACommitNobodyWaits) {
  CommitsFirst all(24h);
  all.give_way();
  {
    const CommitsFirst::Write write(all);
  }
  {
    const CommitsFirst::Sync sync(all);
  }
  all.give_way();
}

TEST(CommitsFirst, AReaderGoesWhenTheSyncEndsAndNotWhenTheWriteDoes) {
  CommitsFirst all(24h);
  std::optional<CommitsFirst::Write> write(all);
  Reader reader(all);
  wait_for_waiting(all);
  std::optional<CommitsFirst::Sync> sync(all);
  write.reset();
  EXPECT_FALSE(reader.went());
  EXPECT_EQ(all.waiting(), 1u);
  sync.reset();
  reader.wait();
  EXPECT_TRUE(reader.went());
}

TEST(CommitsFirst, CommitsWithoutEndDoNotKeepAReaderForEver) {
  CommitsFirst all(24h);
  const CommitsFirst::Sync endless(all);
  Reader reader(all);
  wait_for_waiting(all);
  {
    const CommitsFirst::Sync another(all);
  }
  reader.wait();
  EXPECT_TRUE(reader.went());
}

TEST(CommitsFirst, AWriteThatIsNeverSyncedIsNotWaitedForLong) {
  CommitsFirst all(1ms);
  const CommitsFirst::Write write(all);
  all.give_way();
  EXPECT_EQ(all.waiting(), 0u);
}

}  // namespace
}  // namespace paceline::env
