#include "env/blocking_pool.h"

#include <utility>

namespace paceline::env {

void BlockingPool::submit(Job job) {
  std::unique_lock lock(mutex_);
  if (stopped_) return;
  if (job.lane != 0) {
    auto [place, first] = lanes_.try_emplace(job.lane);
    if (!first) {
      place->second.push_back(std::move(job));
      return;
    }
  }
  ready_.push_back(std::move(job));
  if (ready_.size() > idle_ && threads_.size() < threads_max_) {
    threads_.emplace_back([this] { work(); });
    return;
  }
  lock.unlock();  // or the thread that wakes up waits for it at once
  wake_.notify_one();
}

void BlockingPool::finish_lane(uint64_t lane) {
  auto place = lanes_.find(lane);
  if (place == lanes_.end()) return;
  if (place->second.empty()) {
    lanes_.erase(place);
    return;
  }
  ready_.push_back(std::move(place->second.front()));
  place->second.pop_front();
}

void BlockingPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return stopped_ || !ready_.empty(); });
    --idle_;
    if (stopped_) return;
    Job job = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    job.work();
    job.work = nullptr;
    job.home->post(std::move(job.done));
    lock.lock();
    // This thread takes the next ready work itself, so nobody needs to be woken for it.
    if (job.lane != 0) finish_lane(job.lane);
  }
}

void BlockingPool::stop() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    threads.swap(threads_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads) thread.join();
  // Destroyed outside of the lock: what they hold may post or submit.
  std::deque<Job> ready;
  std::unordered_map<uint64_t, std::deque<Job>> lanes;
  std::lock_guard lock(mutex_);
  ready.swap(ready_);
  lanes.swap(lanes_);
}

}  // namespace paceline::env
