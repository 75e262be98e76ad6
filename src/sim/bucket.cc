#include "sim/bucket.h"

#include "base/check.h"

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

// How long a client waits for an answer before it says that it has none.
constexpr env::Duration kPatience = 5s;

}  // namespace

class Bucket::Client final : public object::Store {
 public:
  Client(Bucket& bucket, std::shared_ptr<const bool> reachable)
      : bucket_(bucket), reachable_(std::move(reachable)) {}

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    const Way way = bucket_.draw(true, *reachable_);
    if (way == Way::late) {
      const auto after =
          kPatience + env::Duration(static_cast<int64_t>(
                          bucket_.world_.random().below(bucket_.faults_.late_max.count())));
      bucket_.shard_.spawn(put_later(bucket_, std::move(key), std::move(body), after));
    }
    if (way != Way::there) {
      co_await env::sleep_for(shard, kPatience);
      co_return fail(Code::maybe_written, "the store did not answer");
    }
    auto putting = [&bucket = bucket_, key = std::move(key), body = std::move(body)] {
      return there_and_back(bucket, bucket.bodies_->put_if_absent(bucket.shard_, key, body));
    };
    co_return co_await env::call_on(bucket_.shard_, shard, putting);
  }

  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    CO_TRY_VOID(co_await arrive(shard));
    auto getting = [&bucket = bucket_, key = std::move(key), from, bytes] {
      return there_and_back(bucket, bucket.bodies_->get(bucket.shard_, key, from, bytes));
    };
    co_return co_await env::call_on(bucket_.shard_, shard, getting);
  }

  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    CO_TRY_VOID(co_await arrive(shard));
    auto asking = [&bucket = bucket_, key = std::move(key)] {
      return there_and_back(bucket, bucket.bodies_->size(bucket.shard_, key));
    };
    co_return co_await env::call_on(bucket_.shard_, shard, asking);
  }

  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    CO_TRY_VOID(co_await arrive(shard));
    auto removing = [&bucket = bucket_, keys = std::move(keys)] {
      return there_and_back(bucket, bucket.bodies_->remove(bucket.shard_, keys));
    };
    co_return co_await env::call_on(bucket_.shard_, shard, removing);
  }

  Task<Result<object::ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                                      size_t count_max) override {
    CO_TRY_VOID(co_await arrive(shard));
    auto listing = [&bucket = bucket_, prefix = std::move(prefix), after = std::move(after),
                    count_max] {
      return there_and_back(bucket, bucket.bodies_->list(bucket.shard_, prefix, after, count_max));
    };
    co_return co_await env::call_on(bucket_.shard_, shard, listing);
  }

 private:
  Task<Result<void>> arrive(env::Shard& shard) {
    if (bucket_.draw(false, *reachable_) == Way::there) co_return Result<void>{};
    co_await env::sleep_for(shard, kPatience);
    co_return fail(Code::unavailable, "the store did not answer");
  }
  // Runs on the bucket's machine; the bucket outlives it.
  template <class T>
  static Task<T> there_and_back(Bucket& bucket, Task<T> work) {
    co_await env::sleep_for(bucket.shard_, bucket.latency());
    T done = co_await std::move(work);
    co_await env::sleep_for(bucket.shard_, bucket.latency());
    co_return done;
  }
  static Task<void> put_later(Bucket& bucket, std::string key, std::vector<Slice> body,
                              env::Duration after) {
    co_await env::sleep_for(bucket.shard_, after);
    (void)co_await bucket.bodies_->put_if_absent(bucket.shard_, std::move(key), std::move(body));
  }

  Bucket& bucket_;
  const std::shared_ptr<const bool> reachable_;
};

Bucket::Bucket(env::SimWorld& world)
    : world_(world), host_(world.add_host("bucket")), shard_(*host_.start(1).front()) {
  auto opened = object::open_folder_store(shard_.disk(), "/bucket");
  CHECK(opened);
  bodies_ = std::move(*opened);
}

Bucket::~Bucket() {
  host_.stop();
}

std::unique_ptr<object::Store> Bucket::client(std::shared_ptr<const bool> reachable) {
  return std::make_unique<Client>(*this, std::move(reachable));
}

Bucket::Way Bucket::draw(bool put, const bool& reachable) {
  if (!reachable) return Way::lost;
  env::Random& random = world_.random();
  if (put && random.chance(faults_.late_put)) return Way::late;
  return random.chance(faults_.lost) ? Way::lost : Way::there;
}

env::Duration Bucket::latency() {
  env::Random& random = world_.random();
  const env::Duration most = random.chance(faults_.slow) ? faults_.slow_max : 10ms;
  return env::Duration(static_cast<int64_t>(random.between(500'000, most.count())));
}

}  // namespace paceline::sim
