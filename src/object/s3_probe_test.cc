#include <gtest/gtest.h>

#include "net/test_certificates.h"
#include "object/test_s3_world.h"

// A store is refused with one sentence that says what to do, and with a code that tells the cases
// apart. Trap T9, fault 25.

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

Result<S3Principal> probe(S3SimWorld& world) {
  auto principal = world.wait(world.s3().probe(world.shard(1)), 1);
  if (!principal) {
    const std::string& text = principal.error().message;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_EQ(text.find(world.options.server.secret_key), std::string::npos) << text;
  }
  return principal;
}

void expect_refused(S3SimWorld& world, Code code, std::string_view part) {
  auto principal = probe(world);
  ASSERT_FALSE(principal);
  EXPECT_EQ(principal.error().code, code) << principal.error().message;
  EXPECT_NE(principal.error().message.find(part), std::string::npos) << principal.error().message;
}

TEST(S3Probe, AFitStoreIsNamedAndLeftAsItWas) {
  S3SimWorld world;
  auto principal = probe(world);
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_EQ(principal->access_key, "AKIDEXAMPLE");
  EXPECT_EQ(principal->source, "the environment");
  EXPECT_EQ(principal->bucket, "bucket");
  EXPECT_EQ(principal->prefix, "some/prefix");
  EXPECT_EQ(principal->endpoint, "http://store:9000");
  EXPECT_TRUE(world.server().objects.empty());
  EXPECT_TRUE(world.server().uploads.empty());
}

TEST(S3Probe, ItIsProvedAlsoWhenAnswersAreLost) {
  S3SimWorld world;
  int count = 0;
  world.server().faults = [&count](const TestS3Request&) {
    return count++ % 2 == 0 ? TestS3Fault{TestS3Fault::Kind::reset_after} : TestS3Fault{};
  };
  EXPECT_TRUE(probe(world));
}

TEST(S3Probe, AStoreThatIgnoresTheConditionIsRefused) {
  S3SimWorld world;
  world.server().options.honours_conditions = false;
  expect_refused(world, Code::unsupported, "If-None-Match");
  EXPECT_TRUE(world.server().objects.empty());
}

TEST(S3Probe, AStoreThatDoesNotKnowTheConditionIsRefused) {
  S3SimWorld world;
  world.server().faults = [](const TestS3Request& request) {
    const bool hit = request.method == "PUT" && request.header("if-none-match") == "*";
    return hit ? TestS3Fault::status(501, "NotImplemented") : TestS3Fault{};
  };
  expect_refused(world, Code::unavailable, "NotImplemented");
}

TEST(S3Probe, AStoreThatIgnoresRangesIsRefused) {
  S3SimWorld world;
  world.server().options.honours_ranges = false;
  expect_refused(world, Code::unsupported, "range");
}

TEST(S3Probe, NoBucketNoAccessAndUnknownKeysAreToldApart) {
  S3SimWorld::Options options;
  options.url = "s3://another-one?endpoint=http://store:9000";
  S3SimWorld elsewhere(options);
  expect_refused(elsewhere, Code::not_found, "there is no bucket 'another-one'");
  S3SimWorld denied;
  denied.server().faults = [](const TestS3Request& request) {
    return request.method == "PUT" ? TestS3Fault::status(403, "AccessDenied") : TestS3Fault{};
  };
  expect_refused(denied, Code::permission_denied, "is not allowed to put an object");
  S3SimWorld unknown;
  unknown.server().options.access_key = "SOMEBODYELSE";
  expect_refused(unknown, Code::permission_denied, "InvalidAccessKeyId");
  S3SimWorld wrong;
  wrong.server().options.secret_key = "another";
  expect_refused(wrong, Code::permission_denied, "SignatureDoesNotMatch");
}

TEST(S3Probe, ABucketOfAnotherRegionIsNamed) {
  S3SimWorld world;
  TestS3Fault moved = TestS3Fault::status(301, "PermanentRedirect");
  moved.instead.headers = {{"x-amz-bucket-region", "eu-west-3"}};
  world.server().faults = [moved](const TestS3Request&) { return moved; };
  expect_refused(world, Code::unavailable, "the bucket is in region 'eu-west-3', not 'us-east-1'");
}

TEST(S3Probe, AClockThatIsOffIsToldAtStartAndCorrectedLater) {
  S3SimWorld world;
  world.server().options.clock_offset = 1h;
  expect_refused(world, Code::unavailable, "the clock of this machine is off");
  world.server().options.clock_offset = {};
  ASSERT_TRUE(probe(world));
  for (const env::Duration jump : {env::Duration(1h), env::Duration(-3h)}) {
    world.host().set_wall_skew(jump);
    EXPECT_TRUE(world.put(fmt::format("k{}", jump.count()), "x"));
  }
  EXPECT_GE(world.s3().stats().clock_refused, 2u);
}

TEST(S3Probe, NobodyThereIsToldSoonerThanALifeOfTries) {
  S3SimWorld world;
  world.server().close();
  const env::Instant start = world.world().now();
  expect_refused(world, Code::unavailable, "connection refused");
  EXPECT_LE(world.world().now() - start, 15s + 1ms);
}

// A start waits for a store that is busy, but not for long, and says how far it came.
TEST(S3Probe, AStoreThatDoesNotAnswerIsToldWithinSecondsAndWithTheStep) {
  using Step = std::pair<std::function<bool(const TestS3Request&)>, std::string_view>;
  const auto number = std::make_shared<int>(0);
  for (const auto& [hit, step] :
       {Step{[](const auto&) { return true; }, "cannot put an object in"},
        Step{[number](const auto& request) { return request.method == "PUT" && ++*number > 1; },
             "cannot put an object for the second time"},
        Step{[](const auto& request) { return request.method == "GET"; }, "cannot read an object"},
        Step{[](const auto& request) { return request.method == "DELETE"; },
             "cannot delete an object"}}) {
    for (const TestS3Fault& fault :
         {TestS3Fault{TestS3Fault::Kind::hang}, TestS3Fault::status(503, "SlowDown")}) {
      S3SimWorld world;
      *number = 0;
      world.server().faults = [hit, fault](const TestS3Request& request) {
        return hit(request) ? fault : TestS3Fault{};
      };
      const env::Instant start = world.world().now();
      expect_refused(world, Code::unavailable, step);
      EXPECT_LE(world.world().now() - start, 15s + 1ms) << step;
      EXPECT_GE(world.world().now() - start, 2s) << step;
    }
  }
}

TEST(S3Probe, OneThatIsBusyForAMomentIsWaitedFor) {
  S3SimWorld world;
  const env::Instant calm = world.world().now() + 5s;
  world.server().faults = [&world, calm](const TestS3Request&) {
    return world.world().now() < calm ? TestS3Fault::status(503, "SlowDown") : TestS3Fault{};
  };
  EXPECT_TRUE(probe(world));
}

TEST(S3Probe, ACertificateThatProvesNothingIsRefused) {
  const auto authority = net::TestAuthority::make("authority");
  const auto other = net::TestAuthority::make("other");
  struct Row {
    net::TestCertificate certificate;
    std::string trusted_pem;
    std::string part;
  };
  for (const Row& row :
       {Row{authority.issue("store"), other.certificate_pem(), "not trusted"},
        Row{authority.issue("elsewhere"), authority.certificate_pem(), "ostname"},
        Row{authority.issue("store", true), authority.certificate_pem(), "expired"}}) {
    S3SimWorld::Options options;
    options.url = "s3://bucket?endpoint=https://store:9000&caFile=ca.pem";
    options.ca_pem = row.trusted_pem;
    net::TlsServerOptions tls{row.certificate.chain_pem, row.certificate.key_pem, "", false};
    options.server.tls = *net::TlsContext::server(tls);
    S3SimWorld world(options);
    expect_refused(world, Code::unavailable, row.part);
  }
}

}  // namespace
}  // namespace paceline::object
