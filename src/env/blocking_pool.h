#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "env/shard.h"

namespace paceline::env {

// The threads that may block. It grows to `threads_max` when all are busy, so one slow fdatasync
// holds up nothing but its own lane.
class BlockingPool {
 public:
  explicit BlockingPool(unsigned threads_max) : threads_max_(threads_max ? threads_max : 1) {}
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;
  ~BlockingPool() { stop(); }

  struct Job {
    uint64_t lane = 0;
    Callback work;
    Callback done;  // posted to `home` once `work` has run and is destroyed
    Shard* home = nullptr;
  };
  // From any thread; dropped after stop().
  void submit(Job job);
  // Waits for the works that run, drops the others, ends the threads. Idempotent.
  void stop();

 private:
  void work();
  // The next work of the lane that has just finished one becomes ready.
  void finish_lane(uint64_t lane);

  const unsigned threads_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> ready_;
  std::unordered_map<uint64_t, std::deque<Job>> lanes_;  // a lane is here while it is busy
  std::vector<std::thread> threads_;
  unsigned idle_ = 0;
  bool stopped_ = false;
};

}  // namespace paceline::env
