#pragma once

#include <memory>
#include <string>

#include "env/sim_world.h"
#include "object/s3.h"
#include "object/store_contract.h"
#include "object/test_s3_server.h"

// For tests only: a store of ours on one simulated host, and shards that ask it on another.

namespace paceline::object {

inline constexpr unsigned kS3TestShards = 2;

class S3SimWorld : public ObjectWorld {
 public:
  struct Options {
    std::string url = "s3://bucket/some/prefix?endpoint=http://store:9000";
    TestS3Server::Options server = {};
    S3Timing timing = {};
    uint64_t part_bytes = 16u << 20;
    uint64_t multipart_bytes_min = 128u << 20;
    Environment environment = {};
    uint64_t seed = 5;
    std::string ca_pem = {};    // is ca.pem on the broker
    bool virtual_host = false;  // the store's host has the bucket in its name
  };

  explicit S3SimWorld(Options wanted)
      : options(std::move(wanted)),
        world_(options.seed),
        store_host_(world_.add_host(options.virtual_host ? "bucket.store" : "store")),
        host_(world_.add_host("broker")) {
    options.environment.emplace("AWS_ACCESS_KEY_ID", options.server.access_key);
    options.environment.emplace("AWS_SECRET_ACCESS_KEY", options.server.secret_key);
    server_ = std::make_unique<TestS3Server>(*store_host_.start()[0], options.server);
    CHECK(server_->listen(store_host_.name(), 9000));
    host_.start(kS3TestShards);
    if (!options.ca_pem.empty()) {
      CHECK(env::replace_file(shard(0).disk(), "ca.pem", as_bytes(options.ca_pem)));
    }
  }
  S3SimWorld() : S3SimWorld(Options()) {}

  Result<std::unique_ptr<S3Store>> open() {
    TRY(S3Location location, parse_s3_url(options.url, options.environment));
    S3Options wanted;
    wanted.location = std::move(location);
    wanted.environment = options.environment;
    wanted.timing = options.timing;
    wanted.part_bytes = options.part_bytes;
    wanted.multipart_bytes_min = options.multipart_bytes_min;
    return wait(open_s3_store(shard(0), std::move(wanted)));
  }

  env::Shard& shard(size_t index) override { return host_.shard(index); }
  Store& store() override { return s3(); }
  S3Store& s3() {
    if (!store_) {
      auto opened = open();
      CHECK(opened.has_value());
      store_ = std::move(*opened);
    }
    return *store_;
  }
  TestS3Server& server() { return *server_; }
  env::SimWorld& world() { return world_; }
  env::SimHost& host() { return host_; }
  const S3Stats::Kind& stats(S3Kind kind) { return s3().stats().of(kind); }
  void reopen() override { store_.reset(); }
  void run(size_t index, Task<void> task) override {
    bool done = false;
    shard(index).spawn(finish(std::move(task), &done));
    CHECK(world_.run_until([&] { return done; }, std::chrono::hours(2)));
  }

  Options options;

 private:
  static Task<void> finish(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }

  env::SimWorld world_;
  env::SimHost& store_host_;
  env::SimHost& host_;
  std::unique_ptr<TestS3Server> server_;
  std::unique_ptr<S3Store> store_;
};

}  // namespace paceline::object
