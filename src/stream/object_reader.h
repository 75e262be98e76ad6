#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "object/object.h"
#include "stream/ahead_book.h"
#include "stream/loading_cache.h"
#include "stream/object_format.h"
#include "stream/read_gate.h"

namespace paceline::stream {

// One shard's way to blocks of objects: cached, checked, each fetched once whoever asks.
class ObjectReader {
 public:
  struct Block {
    std::vector<Batch> batches;
    uint64_t bytes = 0;
    mutable std::optional<Unread> unread = {};
    mutable bool spared = false;
    // A reader takes a block in several bites; up to here it has come.
    void taken_to(Offset next) const {
      if (batches.empty() || next >= batches.back().end()) unread.reset();
    }
    // Fetched ahead, it was used last when it came, while what its reader has done with counts as
    // used later.
    bool spare_once() const { return unread && !std::exchange(spared, true); }
    bool unfinished() const { return unread.has_value(); }
    uint64_t memory_bytes() const { return bytes + batches.size() * sizeof(Batch) + 64; }
  };

  // What one shard may cache and have in flight.
  struct Bounds {
    uint64_t cache_bytes = 0;
    uint64_t flight_bytes = 0;
    uint32_t flight_requests = 0;
  };

  ObjectReader(env::Shard& shard, const ObjectStores& objects, Uuid cluster_id, Bounds bounds,
               Counters& counters)
      : shard_(shard),
        objects_(objects),
        cluster_id_(cluster_id),
        counters_(counters),
        gate_(shard, bounds.flight_bytes, bounds.flight_requests),
        indexes_(shard, bounds.cache_bytes / 8, counters.block_cache_bytes),
        blocks_(shard, bounds.cache_bytes - bounds.cache_bytes / 8, counters.block_cache_bytes) {}

  // What a fetch is for: a reader's first read somewhere, or one of a reader that goes on.
  enum class Why { read, catch_up };

  // corrupt: damaged where it lies, absent, or another's. unavailable: try later.
  Task<Result<std::shared_ptr<const Index>>> index(ObjectId object, Why why);
  Task<Result<std::shared_ptr<const Block>>> block(ObjectId object, BlockRef ref, Why why);
  // What is there already, or null.
  std::shared_ptr<const Index> known_index(ObjectId object) { return indexes_.peek({object, 0}); }
  // Whether a read would have to wait for the store.
  bool holds(ObjectId object, const BlockRef& ref) const {
    return blocks_.holds({object, ref.position});
  }
  // Whether it is there or on its way.
  bool knows(ObjectId object, const BlockRef& ref) const {
    return blocks_.knows({object, ref.position});
  }
  // A place for fetch_ahead(), if what was fetched ahead and not read yet leaves room for it. Half
  // of what the cache has for new blocks may be ahead, so that blocks are not fetched only to be
  // dropped before their reader comes. It counts from here on, not from when the fetch begins.
  std::optional<Unread> place_ahead(const BlockRef& ref) {
    if (!ahead_->admits(ref.stream, ref.bytes, blocks_.room_for_fresh() / 2)) return std::nullopt;
    return std::make_optional<Unread>(ahead_, ref.stream, ref.bytes);
  }
  // When nobody waits for the store; sooner if somebody asks for the block meanwhile. Errors are
  // told to whoever reads the block.
  Task<void> fetch_ahead(ObjectId object, BlockRef ref, Unread unread);

 private:
  struct Key {
    ObjectId object;
    uint64_t position = 0;
    bool operator==(const Key&) const = default;
    size_t hash() const { return std::hash<ObjectId>{}(object) + position * 0x9e3779b97f4a7c15ull; }
  };
  object::Store& store_for(Why why) { return why == Why::read ? objects_.read : objects_.catch_up; }
  Task<Result<Index>> load_index(ObjectId object, Why why);
  Task<Result<Block>> load_in_turn(ObjectId object, BlockRef ref, Why why);
  Task<Result<Block>> load_block(ObjectId object, BlockRef ref, Why why);
  Task<Result<Block>> load_ahead(ObjectId object, BlockRef ref, Unread& unread);

  env::Shard& shard_;
  const ObjectStores& objects_;
  const Uuid cluster_id_;
  Counters& counters_;
  ReadGate gate_;
  LoadingCache<Key, Index> indexes_;
  LoadingCache<Key, Block> blocks_;
  std::shared_ptr<AheadBook> ahead_ = std::make_shared<AheadBook>();
};

}  // namespace paceline::stream
