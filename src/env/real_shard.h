#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "env/blocking_pool.h"
#include "env/disk.h"
#include "env/network.h"
#include "env/random.h"
#include "env/shard.h"
#include "env/task_list.h"
#include "env/timer_queue.h"

namespace paceline::env {

// One loop on one thread: its own posts, posts from elsewhere, due timers, then sockets. Before
// run() and after it the thread that owns the RealEnv counts as the shard's own.
class RealShard final : public Shard {
 public:
  RealShard(unsigned index, uint64_t seed, BlockingPool& pool, Disk& disk);
  ~RealShard() override;

  unsigned index() const override { return index_; }
  Instant now() const override;
  int64_t wall_ms() const override;
  uint64_t random() override { return random_.next(); }
  void post(Callback callback) override;
  TimerId run_at(Instant when, Callback callback) override;
  void cancel_timer(TimerId id) override;
  void offload(uint64_t lane, Callback work, Callback done) override;
  void spawn(Task<void> task) override;
  Disk& disk() override { return disk_; }
  Network& network() override { return *network_; }

  void begin() { running_loop_ = true; }  // before the threads start: only they own shards now
  void run();   // until stop(), on the thread that becomes the shard's own
  void stop();  // from any thread
  // Drops posts and timers for good; once all shards' run() have returned. Then destroy_tasks(),
  // when all shards have ended: a frame may hold the last reference to what belongs to another
  // shard.
  void end();
  void destroy_tasks() { tasks_.destroy_all(); }
  boost::asio::io_context& io() { return io_; }

 private:
  bool on_own_thread() const;
  bool run_posted();
  bool run_timers();
  bool run_sockets();
  void sleep();
  void wake();

  const unsigned index_;
  Random random_;
  BlockingPool& pool_;
  Disk& disk_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<Network> network_;
  TimerQueue timers_;
  std::vector<Callback> local_;    // posted by the own thread
  std::vector<Callback> running_;  // the batch that runs now

  std::mutex mutex_;
  std::vector<Callback> remote_;  // posted by other threads, under mutex_
  bool ended_ = false;            // under mutex_; written once by end()
  std::atomic<bool> sleeping_ = false;
  std::atomic<bool> stopped_ = false;
  bool running_loop_ = false;
  TaskList tasks_;
};

}  // namespace paceline::env
