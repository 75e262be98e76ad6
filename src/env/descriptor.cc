#include "env/descriptor.h"

#include <unistd.h>

namespace paceline::env {

void Descriptor::close() {
  if (fd_ < 0) return;
  const int fd = std::exchange(fd_, -1);
  if (!stream_) {
    ::close(fd);
    return;
  }
  boost::system::error_code ignored;
  stream_->close(ignored);  // its waits end with operation_aborted, through the loop
}

boost::asio::posix::stream_descriptor& Descriptor::stream() {
  if (!stream_) stream_.emplace(shard_.io(), fd_);
  return *stream_;
}

void Descriptor::Wait::finish(Outcome outcome) {
  slot() = nullptr;
  outcome_ = outcome;
  handle_.resume();
}

void Descriptor::Wait::await_suspend(std::coroutine_handle<> self) {
  CHECK(slot() == nullptr);
  handle_ = self;
  slot() = this;
  // The handlers keep the descriptor, never the waiter: that one is looked up when they run.
  auto shared = descriptor_;
  auto& stream = descriptor_->stream();
  if (what_ == For::bytes) {
    stream.async_read_some(boost::asio::buffer(into_.data(), into_.size()),
                           [shared](boost::system::error_code error, size_t count) {
                             if (shared->reader_) shared->reader_->finish({error, count});
                           });
  } else if (what_ == For::readable) {
    stream.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [shared](boost::system::error_code error) {
                        if (shared->reader_) shared->reader_->finish({error});
                      });
  } else {
    stream.async_wait(boost::asio::posix::descriptor_base::wait_write,
                      [shared](boost::system::error_code error) {
                        if (shared->writer_) shared->writer_->finish({error});
                      });
  }
}

}  // namespace paceline::env
