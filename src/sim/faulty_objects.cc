#include "sim/faulty_objects.h"

#include <algorithm>

namespace paceline::sim {
namespace {

class FaultyObjects final : public object::Store {
 public:
  FaultyObjects(std::unique_ptr<object::Store> real, const ObjectFaults& faults, uint64_t seed)
      : real_(std::move(real)), faults_(faults), random_(seed) {}

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    CO_TRY_VOID(co_await arrive(shard));
    // The other one that is under way is an earlier attempt of the same caller, or nobody's.
    if (random_.chance(faults_.troubled ? 0.2 : faults_.conflict)) {
      if (random_.chance(0.5))
        (void)co_await real_->put_if_absent(shard, std::move(key), std::move(body));
      co_return fail(Code::conflict, "the store says 409");
    }
    auto put = co_await real_->put_if_absent(shard, std::move(key), std::move(body));
    if (loses_answer()) co_return fail(Code::maybe_written, "the store did not answer");
    co_return put;
  }

  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    CO_TRY_VOID(co_await arrive(shard));
    CO_TRY(Slice body, co_await real_->get(shard, std::move(key), from, bytes));
    if (loses_answer() || random_.chance(faults_.cut))
      co_return fail(Code::unavailable, "the body ended early");
    if (body.empty() || !random_.chance(faults_.flip)) co_return body;
    Buffer flipped = Buffer::copy_of(body.bytes());
    const uint64_t bit = random_.below(flipped.size() * 8);
    flipped.data()[bit / 8] ^= std::byte{1} << (bit % 8);
    co_return Slice(std::move(flipped));
  }

  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    CO_TRY_VOID(co_await arrive(shard));
    co_return co_await real_->size(shard, std::move(key));
  }

  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    CO_TRY_VOID(co_await arrive(shard));
    auto removed = co_await real_->remove(shard, std::move(keys));
    if (loses_answer()) co_return fail(Code::unavailable, "the store did not answer");
    co_return removed;
  }

  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    CO_TRY_VOID(co_await arrive(shard));
    CO_TRY(object::ListPage page,
           co_await real_->list(shard, std::move(prefix), std::move(after), count_max));
    // The last one stays, or a caller would not know where to go on.
    for (size_t i = page.objects.size(); i-- > 1;) {
      if (random_.chance(faults_.forget_listed))
        page.objects.erase(page.objects.begin() + static_cast<ptrdiff_t>(i - 1));
    }
    co_return page;
  }

 private:
  bool loses_answer() { return random_.chance(faults_.troubled ? 0.5 : faults_.lose_answer); }
  Task<Result<void>> arrive(env::Shard& shard) {
    if (random_.chance(faults_.slow))
      co_await env::sleep_for(
          shard, env::Duration(static_cast<int64_t>(random_.below(faults_.slow_max.count()))));
    if (faults_.gone || random_.chance(faults_.troubled ? 0.6 : faults_.refuse))
      co_return fail(Code::unavailable, "the store says 503");
    co_return Result<void>{};
  }

  const std::unique_ptr<object::Store> real_;
  const ObjectFaults& faults_;
  env::Random random_;
};

}  // namespace

std::unique_ptr<object::Store> make_faulty_objects(std::unique_ptr<object::Store> real,
                                                   const ObjectFaults& faults, uint64_t seed) {
  return std::make_unique<FaultyObjects>(std::move(real), faults, seed);
}

}  // namespace paceline::sim
