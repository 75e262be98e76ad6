#include <array>
#include <optional>
#include <utility>

#include "object/key.h"
#include "object/s3.h"
#include "object/s3_client.h"
#include "object/s3_probe.h"
#include "object/s3_requests.h"
#include "object/s3_sources.h"

namespace paceline::object {
namespace {

constexpr size_t kShardsMax = 1024;

// The tasks hold the client, not the store: a store may go while a call is still on its way.
// `part_bytes`: none, and the body is one request.
Task<Result<void>> put_object(S3ClientPtr client, std::string key, std::vector<Slice> body,
                              std::optional<uint64_t> part_bytes) {
  CO_TRY_VOID(check_key(key));
  if (!part_bytes) co_return co_await s3_put(std::move(client), std::move(key), std::move(body));
  co_return co_await s3_put_parts(std::move(client), std::move(key), std::move(body), *part_bytes);
}

Task<Result<Slice>> get_object(S3ClientPtr client, std::string key, uint64_t from, uint64_t bytes) {
  CO_TRY_VOID(check_key(key));
  co_return co_await s3_get(std::move(client), std::move(key), from, bytes);
}

Task<Result<uint64_t>> object_size(S3ClientPtr client, std::string key) {
  CO_TRY_VOID(check_key(key));
  co_return co_await s3_size(std::move(client), std::move(key));
}

Task<Result<void>> remove_objects(S3ClientPtr client, std::vector<std::string> keys) {
  for (const std::string& key : keys) CO_TRY_VOID(check_key(key));
  co_return co_await s3_remove(std::move(client), std::move(keys));
}

class S3StoreOfShards final : public S3Store {
 public:
  S3StoreOfShards(std::shared_ptr<S3Shared> shared, uint64_t part_bytes,
                  uint64_t multipart_bytes_min)
      : shared_(std::move(shared)),
        part_bytes_(part_bytes),
        multipart_bytes_min_(multipart_bytes_min) {}
  ~S3StoreOfShards() override {
    shared_->credentials->stop();
    // Connections are closed by their own shards.
    for (S3ClientPtr& client : clients_) {
      if (!client) continue;
      env::Shard& shard = client->shard();
      shard.post([client = std::move(client)] {});
    }
  }

  Task<Result<void>> put_if_absent(env::Shard& shard, std::string key,
                                   std::vector<Slice> body) override {
    std::optional<uint64_t> part_bytes;
    if (bytes_of(body) >= multipart_bytes_min_ && shared_->parts_keep_condition)
      part_bytes = part_bytes_;
    return put_object(client_of(shard), std::move(key), std::move(body), part_bytes);
  }
  Task<Result<Slice>> get(env::Shard& shard, std::string key, uint64_t from,
                          uint64_t bytes) override {
    return get_object(client_of(shard), std::move(key), from, bytes);
  }
  Task<Result<uint64_t>> size(env::Shard& shard, std::string key) override {
    return object_size(client_of(shard), std::move(key));
  }
  Task<Result<void>> remove(env::Shard& shard, std::vector<std::string> keys) override {
    return remove_objects(client_of(shard), std::move(keys));
  }
  Task<Result<ListPage>> list(env::Shard& shard, std::string prefix, std::string after,
                              size_t count_max) override {
    return s3_list(client_of(shard), std::move(prefix), std::move(after), count_max);
  }
  Task<Result<std::vector<Unfinished>>> list_unfinished(env::Shard& shard, std::string prefix,
                                                        size_t count_max) override {
    return s3_list_unfinished(client_of(shard), std::move(prefix), count_max);
  }
  Task<Result<void>> end_unfinished(env::Shard& shard, Unfinished upload) override {
    return s3_end_unfinished(client_of(shard), std::move(upload));
  }
  Task<Result<S3Principal>> probe(env::Shard& shard) override { return s3_probe(client_of(shard)); }
  const S3Stats& stats() const override { return shared_->stats; }

 private:
  // A place belongs to its shard: only that one looks at it while the store lives.
  S3ClientPtr client_of(env::Shard& shard) {
    CHECK(shard.index() < kShardsMax);
    S3ClientPtr& client = clients_[shard.index()];
    if (!client) client = std::make_shared<S3Client>(shard, shared_);
    CHECK(&client->shard() == &shard);
    return client;
  }

  const std::shared_ptr<S3Shared> shared_;
  const uint64_t part_bytes_;
  const uint64_t multipart_bytes_min_;
  std::array<S3ClientPtr, kShardsMax> clients_;
};

}  // namespace

Task<Result<std::unique_ptr<S3Store>>> open_s3_store(env::Shard& home, S3Options options) {
  auto shared = std::make_shared<S3Shared>();
  shared->timing = options.timing;
  shared->location = options.location;
  if (shared->location.tls) {
    CO_TRY(shared->tls, co_await load_tls(home, shared->location.ca_file, options.environment));
  }
  CO_TRY(CredentialsSource source,
         co_await find_credentials(home, shared->location, std::move(options.environment)));
  CO_TRY(Credentials first, co_await source(home));
  shared->credentials =
      std::make_shared<CredentialsHolder>(home, std::move(source), std::move(first));
  shared->credentials->start();
  // From here on nobody needs them in the location.
  shared->location.secret_key.clear();
  shared->location.session_token.clear();
  co_return std::make_unique<S3StoreOfShards>(std::move(shared), options.part_bytes,
                                              options.multipart_bytes_min);
}

}  // namespace paceline::object
