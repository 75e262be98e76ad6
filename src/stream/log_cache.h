#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "stream/stream.h"
#include "stream/types.h"

// Batches of this broker's WALs, kept where the WAL put them: the tail that is not uploaded, and
// what came before it as long as there is room.

namespace paceline::stream {

// The consecutive batches of one stream. An idle stream holds no memory here.
class BatchRun {
 public:
  struct Item {
    Batch batch;
    uint64_t charge = 0;  // bytes that the batch keeps in memory
  };

  bool empty() const { return head_ == items_.size(); }
  size_t size() const { return items_.size() - head_; }
  const Batch& at(size_t index) const { return items_[head_ + index].batch; }
  const Batch& front() const { return at(0); }
  uint64_t charge() const { return charge_; }
  // The index of the batch that holds `offset`; size() if none does.
  size_t find(Offset offset) const;
  // REQUIRES: follows the last one.
  void push(Batch batch, uint64_t charge);
  uint64_t pop_front();  // the charge given back

 private:
  std::vector<Item> items_;
  size_t head_ = 0;
  uint64_t charge_ = 0;
};

// The order in which one shard's batches came, to drop the oldest first. Entries of batches that
// went otherwise (their stream moved or was trimmed) go stale and are skipped.
class CacheOrder {
 public:
  struct Entry {
    StreamId stream;
    Offset base;
  };

  // Shards share WAL blocks, so each counts its share of what stands between its batches.
  explicit CacheOrder(unsigned shard_count) : shard_count_(shard_count) {}

  // What `bytes` keeps in memory: itself, and the part of its block since the batch before it
  // (other shards' batches, padding), which stays as long as it does.
  uint64_t charge_of(const Slice& bytes);
  void add(const StreamId& stream, Offset base) { entries_.push_back({stream, base}); }
  bool empty() const { return entries_.empty(); }
  const Entry& front() const { return entries_.front(); }
  void pop_front() { entries_.pop_front(); }

 private:
  const unsigned shard_count_;
  std::deque<Entry> entries_;
  const std::byte* block_ = nullptr;  // never read through: where the last block starts
  size_t block_used_ = 0;
};

}  // namespace paceline::stream
