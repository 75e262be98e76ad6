#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "env/shard.h"
#include "env/sync.h"
#include "group/image.h"
#include "partition/partition.h"

namespace paceline::group {

// Puts decisions into the partition, and into the image once they are durable. One batch is on its
// way at a time; what is decided meanwhile goes together into the next, so the place of every
// record is known and commits that arrive together share an append. On the coordinator's shard.
class Journal {
 public:
  // Told in the order of the writes, when the image holds the records or never will.
  using Done = std::move_only_function<void(KafkaError)>;

  Journal(env::Shard& shard, Image& image) : shard_(shard), image_(image), gate_(shard) {}
  void bind(partition::Partition& partition) { partition_ = &partition; }

  // All of them or none. No records: done when everything before is.
  void write(std::vector<Record> records, Done done);
  // Applies what is on its way and below `end`: the partition says that it is durable, though the
  // append has not returned yet.
  void settle(Offset end);
  // What is not on its way yet is refused with NOT_COORDINATOR; waits for what is.
  Task<void> close();

 private:
  struct Entry {
    std::vector<Record> records;
    Done done;
  };
  Task<void> run();
  Task<void> append(std::vector<Entry> entries);
  std::vector<Entry> take();
  void apply_until(Offset end);
  void refuse_waiting();

  env::Shard& shard_;
  Image& image_;
  partition::Partition* partition_ = nullptr;
  std::deque<Entry> waiting_;
  std::vector<Record> flying_;
  Offset flying_base_{0};
  size_t flying_applied_ = 0;
  bool running_ = false;
  bool closed_ = false;
  env::Gate gate_;
};

}  // namespace paceline::group
