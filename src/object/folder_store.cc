#include <functional>

#include "object/folder.h"
#include "object/key.h"
#include "object/object.h"

namespace paceline::object {
namespace {

using FolderPtr = std::shared_ptr<Folder>;

constexpr uint64_t kBigReadBytes = 64u << 10;

// The tasks hold the folder, not the store: a store may go while a call is still on its way.
Task<Result<void>> put_object(FolderPtr folder, uint64_t lane, env::Shard& shard, std::string key,
                              std::vector<Slice> body) {
  CO_TRY_VOID(check_key(key));
  auto make = [folder, key] { return folder->make_folder(key); };
  CO_TRY_VOID(co_await env::offload(shard, std::move(make), lane));
  auto put = [folder, key = std::move(key), nonce = shard.random(), body = std::move(body)] {
    return folder->put(key, nonce, body);
  };
  co_return co_await env::offload(shard, std::move(put));
}

Task<Result<Slice>> get_object(FolderPtr folder, uint64_t reads_lane, env::Shard& shard,
                               std::string key, uint64_t from, uint64_t bytes) {
  CO_TRY_VOID(check_key(key));
  auto work = [folder, key = std::move(key), from, bytes] { return folder->get(key, from, bytes); };
  // Big reads go one after the other, whichever shard they are of: two at a time read no faster,
  // and make a sync of the log wait for tens of milliseconds instead of one read.
  const uint64_t lane = bytes >= kBigReadBytes ? reads_lane : 0;
  co_return co_await env::offload(shard, std::move(work), lane);
}

Task<Result<uint64_t>> object_size(FolderPtr folder, env::Shard& shard, std::string key) {
  CO_TRY_VOID(check_key(key));
  auto work = [folder, key = std::move(key)] { return folder->size(key); };
  co_return co_await env::offload(shard, std::move(work));
}

Task<Result<void>> remove_objects(FolderPtr folder, env::Shard& shard,
                                  std::vector<std::string> keys) {
  for (const std::string& key : keys) CO_TRY_VOID(check_key(key));
  for (std::string& key : keys) {
    auto retire = [folder, key = std::move(key), nonce = shard.random()] {
      return folder->retire(key, nonce);
    };
    CO_TRY(auto rest, co_await env::offload(shard, std::move(retire)));
    if (!rest) continue;
    const auto retired = std::make_shared<Folder::Retired>(std::move(*rest));
    auto shrink = [folder, retired] { return folder->shrink(*retired); };
    // Its name is gone, and what a failure leaves of it goes when the folder is opened next.
    (void)co_await env::in_pieces(shard, std::move(shrink));
  }
  co_return Result<void>{};
}

Task<Result<ListPage>> list_objects(FolderPtr folder, env::Shard& shard, std::string prefix,
                                    std::string after, size_t count_max) {
  auto work = [folder, prefix = std::move(prefix), after = std::move(after), count_max] {
    return folder->list(prefix, after, count_max);
  };
  co_return co_await env::offload(shard, std::move(work));
}

class FolderStore final : public Store {
 public:
  FolderStore(FolderPtr folder, uint64_t lane) : folder_(std::move(folder)), lane_(lane) {}

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    return put_object(folder_, lane_, shard, std::move(key), std::move(body));
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    return get_object(folder_, lane_ + 1, shard, std::move(key), from, bytes);
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    return object_size(folder_, shard, std::move(key));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    return remove_objects(folder_, shard, std::move(keys));
  }
  Task<Result<ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                              size_t count_max) override {
    return list_objects(folder_, shard, std::move(prefix), std::move(after), count_max);
  }

 private:
  const FolderPtr folder_;
  const uint64_t lane_;  // of make_folder(); the one behind it is of big reads
};

}  // namespace

Result<std::unique_ptr<Store>> open_folder_store(env::Disk& disk, std::string folder) {
  // Any lane will do that is the same in each run; sharing it with others costs only waiting.
  const uint64_t lane = std::hash<std::string>{}("objects in " + folder) | 1;
  auto opened = std::make_shared<Folder>(disk, std::move(folder));
  TRY_VOID(opened->open());
  return std::make_unique<FolderStore>(std::move(opened), lane);
}

}  // namespace paceline::object
