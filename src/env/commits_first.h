#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace paceline::env {

// What is being written and synced on one disk, so that big reads can give way: a device that
// answers a read of a mebibyte lets a sync behind it wait as long, and several of them at a time
// fill its queue, after which a sync takes tens of milliseconds. From any thread.
class CommitsFirst {
 public:
  // The most that is read in one piece, between two looks: 0.25 ms at a gigabyte a second.
  static constexpr size_t kPieceBytes = 256u << 10;

  // A write may have no sync behind it, and a sync of a slow disk may take a second.
  explicit CommitsFirst(std::chrono::milliseconds wait_max = std::chrono::milliseconds(2))
      : wait_max_(wait_max) {}

  // Held while something is written, or synced.
  class Write {
   public:
    explicit Write(CommitsFirst& all) : all_(all) { all_.begin(); }
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;
    ~Write() { all_.end(false); }

   private:
    CommitsFirst& all_;
  };
  class Sync {
   public:
    explicit Sync(CommitsFirst& all) : all_(all) { all_.begin(); }
    Sync(const Sync&) = delete;
    Sync& operator=(const Sync&) = delete;
    ~Sync() { all_.end(true); }

   private:
    CommitsFirst& all_;
  };

  // Returns at once if nothing is written or synced, else when the next sync ends, or after
  // `wait_max`: so a reader gets a piece for each sync, however many there are.
  void give_way();
  unsigned waiting() const;

 private:
  void begin();
  void end(bool sync);

  const std::chrono::milliseconds wait_max_;
  mutable std::mutex mutex_;
  std::condition_variable synced_;
  unsigned in_flight_ = 0;
  unsigned waiting_ = 0;
  uint64_t syncs_ = 0;  // that have ended
};

}  // namespace paceline::env
