#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace paceline::broker {

// The memory that answers keep alive until their clients have read them: counted, for all shards.
// Those who hold it are the slow ones, so waiting for them alone would not end: answers get smaller
// as it fills, small ones let go of the big blocks they stand in, at three quarters the connections
// whose answers have waited longest are ended (Connection), and once it is full only a big batch
// waits, and not for ever. Any thread.
class AnswerMemory {
 public:
  explicit AnswerMemory(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Bytes counted until it is destroyed, on any shard.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (of_) of_->held_.fetch_sub(bytes_, std::memory_order_relaxed);
    }
    uint64_t bytes() const { return bytes_; }

   private:
    friend class AnswerMemory;
    Hold(AnswerMemory& of, uint64_t bytes) : of_(&of), bytes_(bytes) {}
    AnswerMemory* of_ = nullptr;
    uint64_t bytes_ = 0;
  };
  Hold hold(uint64_t bytes) {
    held_.fetch_add(bytes, std::memory_order_relaxed);
    return Hold(*this, bytes);
  }

  // What a new answer may take, at most `bytes_max`: an eighth of what is left, so that whoever
  // comes late finds something; never less than one partition's worth of small batches.
  uint64_t share(uint64_t bytes_max) const {
    const uint64_t held = bytes_held();
    const uint64_t left = held < bytes_max_ ? bytes_max_ - held : 0;
    return std::min(bytes_max, std::max<uint64_t>(left / 8, kShareMin));
  }
  // Whether nothing is left for a batch of the usual limit: only what is smaller may be answered.
  bool full() const { return bytes_held() + kBatchBytes > bytes_max_; }
  // What an answer that may be one batch over its share counts as while it is made.
  uint64_t share_with_a_batch(uint64_t share) const { return std::max(share, kBatchBytes); }
  bool crowded() const { return bytes_held() > bytes_max_ / 2; }
  // How much has to go before it is at three quarters again; 0: nothing.
  uint64_t excess() const {
    const uint64_t held = bytes_held();
    const uint64_t high = bytes_max_ / 4 * 3;
    return held > high ? held - high : 0;
  }
  uint64_t bytes_held() const { return held_.load(std::memory_order_relaxed); }
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  static constexpr uint64_t kShareMin = 64u << 10;
  static constexpr uint64_t kBatchBytes = 1u << 20;

  const uint64_t bytes_max_;
  std::atomic<uint64_t> held_{0};
};

// What these slices keep in memory: their blocks, whole. Slices of one block follow each other.
uint64_t memory_of(const std::vector<Slice>& slices);
// Copies what stands in blocks of more than twice its size, so that these can go.
void let_blocks_go(std::vector<Slice>& slices);

}  // namespace paceline::broker
