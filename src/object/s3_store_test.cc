#include <stdlib.h>

#include "env/test_shards.h"
#include "net/test_certificates.h"
#include "object/test_s3_world.h"

// The S3 store keeps the contract of the object store: on a store of ours in the simulated world,
// in the clear and over TLS, and on a real one if PACELINE_TEST_S3 names it (an s3:// URL, with
// credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). Each test has a prefix of its own.

namespace paceline::object {
namespace {

std::unique_ptr<ObjectWorld> in_the_clear() {
  return std::make_unique<S3SimWorld>();
}

std::unique_ptr<ObjectWorld> over_tls() {
  const auto authority = net::TestAuthority::make("authority");
  const auto certificate = authority.issue("bucket.store");
  S3SimWorld::Options options;
  // The simulated network has one name a host: here it is that of the bucket's virtual host.
  options.url = "s3://bucket?endpoint=https://store:9000&pathStyle=false&caFile=ca.pem&sse=AES256";
  options.ca_pem = authority.certificate_pem();
  net::TlsServerOptions tls{certificate.chain_pem, certificate.key_pem, "", false};
  options.server.tls = *net::TlsContext::server(tls);
  options.virtual_host = true;
  return std::make_unique<S3SimWorld>(options);
}

INSTANTIATE_TEST_SUITE_P(S3, ObjectContract,
                         testing::Values(ObjectParam{"simulated", in_the_clear},
                                         ObjectParam{"simulated_tls", over_tls}),
                         [](const auto& param) { return param.param.name; });

// Whatever the process's environment says of the store and its credentials.
Environment real_environment() {
  Environment environment;
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                           "AWS_REGION", "HOME", "AWS_PROFILE"})
    if (const char* value = ::getenv(name)) environment[name] = value;
  return environment;
}

class RealS3World final : public ObjectWorld {
 public:
  explicit RealS3World(const std::string& url) {
    auto location = parse_s3_url(url, real_environment());
    CHECK(location.has_value());
    options_.location = *location;
    options_.environment = real_environment();
    options_.multipart_bytes_min = 6u << 20;
    options_.part_bytes = 5u << 20;
    const auto number = static_cast<unsigned long long>(shards_.shard(0).wall_ms());
    options_.location.prefix +=
        fmt::format("{}test-{}-{}", location->prefix.empty() ? "" : "/", number, ++worlds);
    reopen();
  }
  ~RealS3World() override {
    // A store is not left fuller than it was found.
    for (;;) {
      auto page = wait(store_->list(shard(0), "", "", 1000));
      if (!page || page->objects.empty()) break;
      std::vector<std::string> keys;
      for (const Listed& object : page->objects) keys.push_back(object.key);
      if (!wait(store_->remove(shard(0), std::move(keys)))) break;
    }
  }

  env::Shard& shard(size_t index) override { return shards_.shard(index); }
  Store& store() override { return *store_; }
  S3Store& s3() { return *store_; }
  void reopen() override {
    store_.reset();
    auto opened = wait(open_s3_store(shard(0), options_));
    if (!opened) fmt::print(stderr, "{}\n", opened.error().message);
    CHECK(opened.has_value());
    store_ = std::move(*opened);
  }
  void run(size_t index, Task<void> task) override { shards_.run(index, std::move(task)); }

 private:
  inline static int worlds = 0;
  env::RealTestShards shards_;
  S3Options options_;
  std::unique_ptr<S3Store> store_;  // goes before its world
};

const char* real_url() {
  return ::getenv("PACELINE_TEST_S3");
}

std::vector<ObjectParam> real_stores() {
  if (!real_url()) return {};
  return {ObjectParam{"real", [] { return std::make_unique<RealS3World>(real_url()); }}};
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ObjectContract);
INSTANTIATE_TEST_SUITE_P(RealS3, ObjectContract, testing::ValuesIn(real_stores()),
                         [](const auto& param) { return param.param.name; });

TEST(RealS3, IsFitToBeUsedAndKeepsTheFirstOfLargeBodies) {
  if (!real_url()) GTEST_SKIP() << "PACELINE_TEST_S3 names no store";
  RealS3World world(real_url());
  env::Shard& shard = world.shard(1);
  auto principal = world.wait(world.s3().probe(shard), 1);
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_FALSE(principal->access_key.empty());
  std::string text(13u << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 4096);
  std::vector<Slice> body{Slice::copy_of(as_bytes(text).first(1'000'003)),
                          Slice::copy_of(as_bytes(text).subspan(1'000'003))};
  const auto& parts = world.s3().stats().of(S3Kind::multipart_part).requests;
  const uint64_t before = parts;
  auto put = world.wait(world.store().put_if_absent(shard, "a/large+odd=key&", body), 1);
  ASSERT_TRUE(put) << put.error().message;
  // As the probe has seen.
  EXPECT_TRUE(parts == before || parts == before + 3) << parts - before;
  fmt::print("a body of 13 MiB went in {}\n", parts == before ? "one request" : "parts");
  std::vector<Slice> other{Slice::copy_of(as_bytes(std::string(7u << 20, 'x')))};
  auto again = world.wait(world.store().put_if_absent(shard, "a/large+odd=key&", other), 1);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::already_exists);
  EXPECT_EQ(*world.wait(world.store().size(shard, "a/large+odd=key&"), 1), text.size());
  auto middle = world.wait(world.store().get(shard, "a/large+odd=key&", 4'999'000, 6'000'000), 1);
  ASSERT_TRUE(middle) << middle.error().message;
  EXPECT_EQ(as_text(middle->bytes()), std::string_view(text).substr(4'999'000, 6'000'000));
  auto uploads = world.wait(world.store().list_unfinished(shard, "", 10), 1);
  ASSERT_TRUE(uploads) << uploads.error().message;
  EXPECT_TRUE(uploads->empty());
}

}  // namespace
}  // namespace paceline::object
