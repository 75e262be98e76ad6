#pragma once

#include <memory>
#include <vector>

#include "object/object.h"
#include "stream/loading_cache.h"
#include "stream/object_format.h"

namespace paceline::stream {

// One shard's way to blocks of objects: cached, checked, each fetched once whoever asks.
class ObjectReader {
 public:
  struct Block {
    std::vector<Batch> batches;
    uint64_t bytes = 0;
    uint64_t memory_bytes() const { return bytes + batches.size() * sizeof(Batch) + 64; }
  };

  ObjectReader(env::Shard& shard, object::Store& objects, Uuid cluster_id, uint64_t bytes_max,
               Counters& counters)
      : shard_(shard),
        objects_(objects),
        cluster_id_(cluster_id),
        counters_(counters),
        indexes_(shard, bytes_max / 8, counters.block_cache_bytes),
        blocks_(shard, bytes_max - bytes_max / 8, counters.block_cache_bytes) {}

  // corrupt: damaged (twice: it was fetched again), absent, or another's. unavailable: try later.
  Task<Result<std::shared_ptr<const Index>>> index(ObjectId object);
  Task<Result<std::shared_ptr<const Block>>> block(ObjectId object, BlockRef ref);
  bool has_block(ObjectId object, const BlockRef& ref) {
    return blocks_.peek({object, ref.position}) != nullptr;
  }

 private:
  struct Key {
    ObjectId object;
    uint64_t position = 0;
    bool operator==(const Key&) const = default;
    size_t hash() const { return std::hash<ObjectId>{}(object) + position * 0x9e3779b97f4a7c15ull; }
  };
  Task<Result<Slice>> fetch(ObjectId object, uint64_t from, uint64_t bytes);
  Task<Result<Index>> load_index(ObjectId object);
  Task<Result<Index>> load_index_once(ObjectId object);
  Task<Result<Block>> load_block(ObjectId object, BlockRef ref);

  env::Shard& shard_;
  object::Store& objects_;
  const Uuid cluster_id_;
  Counters& counters_;
  LoadingCache<Key, Index> indexes_;
  LoadingCache<Key, Block> blocks_;
};

}  // namespace paceline::stream
