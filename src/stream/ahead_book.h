#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/ids.h"

namespace paceline::stream {

// What one shard has fetched ahead of readers and nobody has read yet, in bytes by stream. Pure.
//
// Readers share the room evenly. Who comes first must not take all of it: blocks go from the cache
// in the order in which they came, so that one reader's twentieth block would have to outlive
// twenty rounds of all others, and would be fetched twice.
class AheadBook {
 public:
  // Whether so much more of that stream stays within `room` in all, and within its share. A stream
  // that has nothing ahead may always have a block.
  bool admits(StreamId stream, uint64_t bytes, uint64_t room) const {
    if (total_ + bytes > room) return false;
    const auto own = unread_.find(stream);
    return own == unread_.end() || own->second + bytes <= room / unread_.size();
  }
  uint64_t total() const { return total_; }

  void add(StreamId stream, uint64_t bytes) {
    unread_[stream] += bytes;
    total_ += bytes;
  }
  void remove(StreamId stream, uint64_t bytes) {
    const auto own = unread_.find(stream);
    own->second -= bytes;
    total_ -= bytes;
    if (own->second == 0) unread_.erase(own);
  }

 private:
  uint64_t total_ = 0;
  std::unordered_map<StreamId, uint64_t> unread_;  // none of zero
};

// A block that is fetched ahead, and counts while this lives.
class Unread {
 public:
  Unread(std::shared_ptr<AheadBook> book, StreamId stream, uint64_t bytes)
      : book_(std::move(book)), stream_(stream), bytes_(bytes) {
    book_->add(stream_, bytes_);
  }
  Unread(Unread&& other) noexcept = default;
  Unread& operator=(Unread&&) = delete;
  ~Unread() {
    if (book_) book_->remove(stream_, bytes_);
  }

 private:
  std::shared_ptr<AheadBook> book_;
  StreamId stream_;
  uint64_t bytes_;
};

}  // namespace paceline::stream
