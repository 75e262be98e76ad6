#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/disk.h"
#include "env/shard.h"

// Shared objects: immutable bodies under keys. Any shard may call; the shard given is the caller's
// own, on which the task resumes.

namespace paceline::object {

struct Listed {
  std::string key;
  uint64_t bytes = 0;
};
struct ListPage {
  std::vector<Listed> objects;  // in key order
  bool more = false;            // ask again with after = the last key
};

// An upload in parts that has begun and not ended: its bytes are kept, and can be read by nobody.
struct Unfinished {
  std::string key;
  std::string upload;
  int64_t began_ms = 0;  // by the store's clock, since 1970
};

class Store {
 public:
  virtual ~Store() = default;

  // Creates `key`, durable on return. already_exists: another body has the key. maybe_written: the
  // outcome is unknown; get it and compare before acting. conflict: another put of this key is
  // under way and may win; nothing is known, put the same again. unavailable: nothing happened, try
  // later. A large body may go in parts: whoever dies on the way, or never hears of the end, leaves
  // something unfinished behind, for collection to end.
  virtual Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                           std::vector<Slice> body) = 0;
  // Exactly [from, from + bytes) of the object; out_of_range if it is shorter, not_found if absent.
  virtual Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                                  uint64_t bytes) = 0;
  virtual Task<Result<uint64_t>> size(env::Shard& shard, std::string key) = 0;
  // All of them; fine if absent already. After an error some may be gone.
  virtual Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) = 0;
  // For audit and collection only, never for truth.
  virtual Task<Result<ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) = 0;
  // For collection only: some of the unfinished uploads below `prefix`, at most `count_max`; none
  // from a store that knows no parts.
  virtual Task<Result<std::vector<Unfinished>>> list_unfinished(env::Shard&, std::string, size_t) {
    co_return std::vector<Unfinished>();
  }
  // It ends without an object; fine if it has ended already.
  virtual Task<Result<void>> end_unfinished(env::Shard&, Unfinished) { co_return Result<void>{}; }
};

// Objects as files under `folder` on `disk`; '/' in a key is a sub-folder. `disk` must outlive it.
Result<std::unique_ptr<Store>> open_folder_store(env::Disk& disk, std::string folder);

}  // namespace paceline::object
