#include "object/metered.h"

namespace paceline::object {
namespace {

void add(std::atomic<uint64_t>& counter, uint64_t count) {
  counter.fetch_add(count, std::memory_order_relaxed);
}

uint64_t bytes_of(const std::vector<Slice>& body) {
  uint64_t bytes = 0;
  for (const Slice& slice : body) bytes += slice.size();
  return bytes;
}

class Metered final : public Store {
 public:
  Metered(Store& store, Traffic& traffic) : store_(store), traffic_(traffic) {}

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    const uint64_t bytes = bytes_of(body);
    add(traffic_.puts, 1);
    auto done = co_await store_.put_if_absent(shard, std::move(key), std::move(body));
    if (done) add(traffic_.bytes_put, bytes);
    co_return counted(std::move(done));
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    add(traffic_.gets, 1);
    auto body = co_await store_.get(shard, std::move(key), from, bytes);
    if (body) add(traffic_.bytes_got, body->size());
    co_return counted(std::move(body));
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    add(traffic_.heads, 1);
    co_return counted(co_await store_.size(shard, std::move(key)));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    add(traffic_.removes, keys.size());
    co_return counted(co_await store_.remove(shard, std::move(keys)));
  }
  Task<Result<ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                              size_t count_max) override {
    add(traffic_.lists, 1);
    co_return counted(co_await store_.list(shard, std::move(prefix), std::move(after), count_max));
  }
  Task<Result<std::vector<Unfinished>>> list_unfinished(env::Shard& shard, std::string prefix,
                                                        size_t count_max) override {
    add(traffic_.lists, 1);
    co_return counted(co_await store_.list_unfinished(shard, std::move(prefix), count_max));
  }
  Task<Result<void>> end_unfinished(env::Shard& shard, Unfinished upload) override {
    add(traffic_.removes, 1);
    co_return counted(co_await store_.end_unfinished(shard, std::move(upload)));
  }

 private:
  template <class T>
  Result<T> counted(Result<T> result) {
    if (!result) add(traffic_.failures, 1);
    return result;
  }

  Store& store_;
  Traffic& traffic_;
};

}  // namespace

std::unique_ptr<Store> make_metered(Store& store, Traffic& traffic) {
  return std::make_unique<Metered>(store, traffic);
}

}  // namespace paceline::object
