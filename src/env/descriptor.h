#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <coroutine>
#include <memory>
#include <optional>

#include "env/real_shard.h"

namespace paceline::env {

// A non-blocking socket descriptor and the tasks of its shard that wait for it: at most one to read
// (or accept), one to write (or connect). Shared by the object that owns it, the running calls and
// Asio's handlers; closed once by close() or by the last of them. A waiter that is gone is never
// resumed.
class Descriptor : public std::enable_shared_from_this<Descriptor> {
 public:
  Descriptor(RealShard& shard, int fd) : shard_(shard), fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  int fd() const { return fd_; }
  bool closed() const { return fd_ < 0; }
  // Waiters resume, later in this turn, and find closed().
  void close();

  class Wait {
   public:
    enum class For { readable, writable, bytes };
    Wait(std::shared_ptr<Descriptor> descriptor, For what, MutableBytes into = {})
        : descriptor_(std::move(descriptor)), what_(what), into_(into) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (Wait*& place = slot(); place == this) place = nullptr;
    }
    bool await_ready() noexcept { return descriptor_->closed(); }
    void await_suspend(std::coroutine_handle<> self);
    // Bytes read, for For::bytes; error when the descriptor failed or was closed.
    struct Outcome {
      boost::system::error_code error;
      size_t count = 0;
    };
    Outcome await_resume() noexcept { return outcome_; }

   private:
    Wait*& slot() { return what_ == For::writable ? descriptor_->writer_ : descriptor_->reader_; }
    void finish(Outcome outcome);
    std::shared_ptr<Descriptor> descriptor_;
    For what_;
    MutableBytes into_;
    Outcome outcome_{};
    std::coroutine_handle<> handle_;
  };

 private:
  // Registered with the reactor at the first wait, which is on the owner's thread; until then the
  // descriptor may travel between shards as a plain number.
  boost::asio::posix::stream_descriptor& stream();

  RealShard& shard_;
  int fd_;
  std::optional<boost::asio::posix::stream_descriptor> stream_;
  Wait* reader_ = nullptr;
  Wait* writer_ = nullptr;
};

}  // namespace paceline::env
