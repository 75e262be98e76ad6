#include "wal/slot_store.h"

#include <fmt/format.h>

namespace paceline::wal {
namespace {

constexpr size_t kKeysPerList = 1000;  // S3's limit

// The counters outlive the lane's parts: any of them may be the last to count.
template <class T>
Task<Answer<T>> count_late(std::shared_ptr<const ObjectWalOptions> options, Task<Answer<T>> asked) {
  Answer<T> answer = co_await std::move(asked);
  if (answer.late) ++options->counters->late;
  co_return answer;
}

}  // namespace

template <class T>
Task<Answer<T>> SlotStore::counted(std::atomic<uint64_t>& kind, Task<Result<T>> request) const {
  ++kind;
  return count_late(options_, env::ask(*shard_, deadline(), std::move(request)));
}

Task<Answer<void>> SlotStore::put(std::string key, std::vector<Slice> body) const {
  return counted(counters().puts, store_->put_if_absent(*shard_, std::move(key), std::move(body)));
}
Task<Answer<Slice>> SlotStore::get(std::string key, uint64_t from, uint64_t bytes) const {
  return counted(counters().gets, store_->get(*shard_, std::move(key), from, bytes));
}
Task<Answer<uint64_t>> SlotStore::size(std::string key) const {
  return counted(counters().gets, store_->size(*shard_, std::move(key)));
}
Task<Answer<void>> SlotStore::remove(std::vector<std::string> keys) const {
  return counted(counters().removes, store_->remove(*shard_, std::move(keys)));
}
Task<Answer<object::ListPage>> SlotStore::list(std::string after) const {
  return counted(counters().lists,
                 store_->list(*shard_, slots_prefix(owner_), std::move(after), kKeysPerList));
}

Task<bool> SlotStore::pause(env::Backoff& backoff) const {
  ++counters().retries;
  co_await env::sleep_for(*shard_, backoff.next(shard_->random()));
  co_return !ended();
}

std::string SlotStore::name(uint64_t sequence) const {
  return fmt::format("slot {} of lane {}", sequence, owner_.lane.to_string());
}

}  // namespace paceline::wal
