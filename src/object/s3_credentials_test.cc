#include "object/s3_credentials.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "object/s3_profile.h"
#include "object/s3_sources.h"
#include "object/test_s3_world.h"

// ux.md section 7: the order of sources, no silent fall-through, renewal, nothing secret shown.
// Fault 21.

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

std::string log_text;
void keep_log(LogLevel, std::string_view text) {
  log_text += std::string(text) + "\n";
}

// A host on which files stand and services of credentials listen.
class Sources : public testing::Test {
 protected:
  Sources() : world_(3), host_(world_.add_host("broker")) {
    host_.start(1);
    log_text.clear();
    set_log_sink(keep_log);
    server_ = std::make_unique<TestS3Server>(shard(), TestS3Server::Options());
    server_->other = [this](const TestS3Request& request) { return answer(request); };
    CHECK(server_->listen("broker", 8080));
  }
  ~Sources() override { set_log_sink(nullptr); }

  env::Shard& shard() { return host_.shard(0); }
  void file(const std::string& path, const std::string& text) {
    CHECK(shard().disk().make_dirs(env::parent_dir(path)));
    CHECK(env::replace_file(shard().disk(), path, as_bytes(text)));
  }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> value;
    shard().spawn(store_value(std::move(task), &value));
    CHECK(world_.run_until([&] { return value.has_value(); }, 1h));
    return std::move(*value);
  }
  // What the source that `environment` and the rest of the URL name gives.
  Result<Credentials> find(Environment environment, const std::string& parameters = "") {
    environment.emplace("AWS_REGION", "eu-west-1");
    environment.emplace("HOME", "/home/me");
    environment.emplace("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://broker:8080");
    environment.emplace("AWS_ENDPOINT_URL_STS", "http://broker:8080/sts");
    TRY(S3Location location, parse_s3_url("s3://bucket?" + parameters, environment));
    TRY(CredentialsSource source,
        wait(find_credentials(shard(), std::move(location), std::move(environment))));
    return wait(source(shard()));
  }
  std::string found(Environment environment, const std::string& parameters = "") {
    auto credentials = find(std::move(environment), parameters);
    if (!credentials) return "error: " + credentials.error().message;
    const SigningKeys& keys = credentials->keys;
    return fmt::format("{}/{}/{} from {}", keys.access_key, keys.secret_key, keys.session_token,
                       credentials->source);
  }

  // STS, container and instance metadata in one.
  TestS3Answer answer(const TestS3Request& request) {
    bodies_.push_back(request.body);
    last_headers_ = request.headers;
    const auto found = answers_.find(request.target);
    return found == answers_.end() ? TestS3Answer{404, "none"} : found->second;
  }
  void sts_answers(const std::string& kind) {
    answers_["/sts"] = {
        200, fmt::format("<{0}Response><{0}Result><Credentials><AccessKeyId>SK</AccessKeyId>"
                         "<SecretAccessKey>ss</SecretAccessKey><SessionToken>st</SessionToken>"
                         "<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></{0}Result>"
                         "</{0}Response>",
                         kind)};
  }

  env::SimWorld world_;
  env::SimHost& host_;
  std::unique_ptr<TestS3Server> server_;
  std::map<std::string, TestS3Answer> answers_;
  std::map<std::string, std::string> last_headers_;
  std::vector<std::string> bodies_;

 private:
  template <class T>
  static Task<void> store_value(Task<T> task, std::optional<T>* into) {
    into->emplace(co_await std::move(task));
  }
};

const Environment kKeys{{"AWS_ACCESS_KEY_ID", "AK"}, {"AWS_SECRET_ACCESS_KEY", "hunter2"}};

TEST_F(Sources, KeysOfTheUrlComeFirstAndMayBeElsewhere) {
  EXPECT_EQ(found(kKeys, "accessKey=UK&secretKey=us"), "UK/us/ from the s3:// URL");
  file("/run/secret", "fs\n");
  EXPECT_EQ(found({{"K", "EK"}}, "accessKey=env:K&secretKey=file:/run/secret"),
            "EK/fs/ from the s3:// URL");
  EXPECT_EQ(found(kKeys, "accessKey=env:NONE&secretKey=x"), "error: the variable NONE is not set");
  EXPECT_TRUE(found(kKeys, "accessKey=a&secretKey=file:/none").starts_with("error: cannot read"));
}

TEST_F(Sources, TheEnvironmentIsNextWithItsToken) {
  Environment environment = kKeys;
  environment["AWS_SESSION_TOKEN"] = "T";
  environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/none";
  EXPECT_EQ(found(environment), "AK/hunter2/T from the environment");
  environment.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(found(environment),
            "error: credentials of the environment: AWS_SECRET_ACCESS_KEY is not set");
}

TEST_F(Sources, WebIdentityIsNeverPassedOver) {
  sts_answers("AssumeRoleWithWebIdentity");
  file("/run/token", "web-token\n");
  file("/home/me/.aws/credentials", "[default]\naws_access_key_id=PK\naws_secret_access_key=ps\n");
  Environment environment{{"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                          {"AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"}};
  EXPECT_EQ(found(environment), "SK/ss/st from web identity as arn:aws:iam::1:role/r");
  EXPECT_TRUE(bodies_.back().ends_with("&WebIdentityToken=web-token"));
  EXPECT_NE(bodies_.back().find("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"), std::string::npos);
  answers_["/sts"] = {403,
                      "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"};
  EXPECT_EQ(found(environment),
            "error: web identity for arn:aws:iam::1:role/r failed: broker:8080 answered 403 "
            "AccessDenied");
  environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/none";
  EXPECT_TRUE(found(environment).starts_with("error: cannot read /none"));
  environment.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  EXPECT_TRUE(found(environment).starts_with("error: web identity needs"));
}

TEST_F(Sources, AContainersAddressMustBeOfThisMachineOrHttps) {
  Environment environment{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://broker:8080/creds"}};
  EXPECT_TRUE(found(environment).starts_with("error: AWS_CONTAINER_CREDENTIALS_FULL_URI is not"));
  environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:8080/creds";
  environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "t0ken";
  answers_["/creds"] = {200, R"({"AccessKeyId":"CK","SecretAccessKey":"cs","Token":"ct",)"
                             R"("Expiration":"2030-01-01T00:00:00Z"})"};
  EXPECT_EQ(found(environment), "CK/cs/ct from the container's credentials");
  EXPECT_EQ(last_headers_["authorization"], "t0ken");
  answers_["/creds"] = {200, R"({"AccessKeyId":"CK","SecretAccessKey":7})"};
  EXPECT_EQ(found(environment),
            "error: the container's credentials did not answer with credentials");
}

TEST_F(Sources, ProfilesRolesAndWhatIsNotSupported) {
  file("/home/me/.aws/config",
       "[default]\nregion = x\n[profile role]\nrole_arn = arn:r\nsource_profile = base\n"
       "external_id = E\n[profile loop]\nrole_arn = r\nsource_profile = loop2\n"
       "[profile loop2]\nrole_arn = r\nsource_profile = loop\n[profile sso]\nsso_session = s\n"
       "[profile process]\ncredential_process = /bin/x\n[profile empty]\nregion = y\n"
       "[sso-session s]\nsso_region = z\n");
  file("/home/me/.aws/credentials",
       "# all of them\n[base]\naws_access_key_id = BK\nAWS_SECRET_ACCESS_KEY = bs\n");
  EXPECT_EQ(found({{"AWS_PROFILE", "base"}}), "BK/bs/ from profile 'base'");
  EXPECT_EQ(found({}, "credentials=profile:base"), "BK/bs/ from profile 'base'");
  sts_answers("AssumeRole");
  EXPECT_EQ(found({{"AWS_PROFILE", "role"}}), "SK/ss/st from profile 'role' as arn:r");
  EXPECT_NE(bodies_.back().find("ExternalId=E"), std::string::npos);
  EXPECT_TRUE(found({{"AWS_PROFILE", "loop"}}).starts_with("error: profiles refer to each other"));
  EXPECT_EQ(found({{"AWS_PROFILE", "sso"}}),
            "error: profile 'sso' uses sso_session, which is not supported");
  EXPECT_EQ(found({{"AWS_PROFILE", "process"}}),
            "error: profile 'process' uses credential_process, which is not supported");
  EXPECT_EQ(found({{"AWS_PROFILE", "empty"}}), "error: profile 'empty' has no credentials");
  EXPECT_EQ(found({{"AWS_PROFILE", "none"}}), "error: there is no profile 'none' in the AWS files");
  file("/home/me/.aws/config", "[default]\nhunter2 is no setting\n");
  EXPECT_EQ(found({{"AWS_PROFILE", "base"}}), "error: /home/me/.aws/config: line 2 is no setting");
}

TEST_F(Sources, InstanceMetadataIsAskedOnlyWhenNothingIsConfigured) {
  answers_["/latest/api/token"] = {200, "imds-token"};
  answers_["/latest/meta-data/iam/security-credentials/"] = {200, "my-role\n"};
  answers_["/latest/meta-data/iam/security-credentials/my-role"] = {
      200, R"({"Code":"Success","AccessKeyId":"IK","SecretAccessKey":"is","Token":"it",)"
           R"("Expiration":"2030-01-01T00:00:00Z"})"};
  EXPECT_EQ(found({}), "IK/is/it from instance metadata as my-role");
  EXPECT_EQ(last_headers_["x-aws-ec2-metadata-token"], "imds-token");
  // Version 1, which knows no token, is never tried.
  answers_.erase("/latest/api/token");
  EXPECT_EQ(found({}), "error: instance metadata gives no token: broker:8080 answered 404");
  EXPECT_EQ(found({{"AWS_EC2_METADATA_DISABLED", "true"}}),
            "error: there are no credentials: neither in the s3:// URL, the environment nor the "
            "AWS files");
  EXPECT_TRUE(found({}, "credentials=hunter2").starts_with("error: credentials= in an s3:// URL"));
}

TEST(S3Metadata, OnlyWholeCredentialsAreTaken) {
  EXPECT_TRUE(parse_metadata_credentials(
      R"({"AccessKeyId":"a","SecretAccessKey":"b","Token":null,"Expiration":""})", "x"));
  for (const char* bad :
       {"", "[]", "{", R"({"AccessKeyId":"hunter2"})",
        R"({"AccessKeyId":"","SecretAccessKey":"b"})",
        R"({"AccessKeyId":"a","SecretAccessKey":"hunter2","Expiration":"soon"})"}) {
    auto credentials = parse_metadata_credentials(bad, "x");
    ASSERT_FALSE(credentials) << bad;
    EXPECT_EQ(credentials.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(S3Profile, SectionsOfBothFiles) {
  auto config = parse_profiles(
      "\xEF\xBB\xBF# no profile\n[default]\na=1\ns3 =\n  nested = x\n[profile  b ]\nA = 2 = 3 \r\n"
      "[services c]\na=4",
      true);
  EXPECT_FALSE(config);  // a byte order mark is no section
  config = parse_profiles(
      "[default]\na=1\ns3 =\n  nested = x\n[profile  b ]\nA = 2 = 3 \r\n[services c]\na=4", true);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->size(), 2u);
  EXPECT_EQ(config->at("default").at("a"), "1");
  EXPECT_EQ(config->at("b").at("a"), "2 = 3");
  EXPECT_TRUE(parse_profiles("[b]\na=1", false)->contains("b"));
  for (const char* bad : {"a=1", "[b\na=1", "[b]\nno setting", "[b]\n=1"})
    EXPECT_FALSE(parse_profiles(bad, false)) << bad;
}

// Of a holder: what each renewal gives, and when it was asked.
struct Renewals {
  std::vector<env::Instant> at;
  int failures = 0;  // of the next ones
  std::chrono::seconds life{3600};
};

class Holder : public testing::Test {
 protected:
  Holder() : world_(3), host_(world_.add_host("broker")) {
    host_.start(1);
    log_text.clear();
    set_log_sink(keep_log);
    Credentials first = make(shard(), &renewals_, 0);
    holder_ = std::make_shared<CredentialsHolder>(
        shard(), [this](env::Shard& on) { return source(on, &renewals_); }, std::move(first));
    holder_->start();
  }
  ~Holder() override { set_log_sink(nullptr); }

  env::Shard& shard() { return host_.shard(0); }
  static Credentials make(env::Shard& on, Renewals* renewals, int number) {
    Credentials made;
    made.keys = {fmt::format("K{}", number), "hunter2", "hunter3"};
    made.source = "a test";
    made.expires_ms = on.wall_ms() +
                      std::chrono::duration_cast<std::chrono::milliseconds>(renewals->life).count();
    return made;
  }
  static Task<Result<Credentials>> source(env::Shard& on, Renewals* renewals) {
    renewals->at.push_back(on.now());
    if (renewals->failures-- > 0) co_return fail(Code::unavailable, "nobody there");
    co_return make(on, renewals, static_cast<int>(renewals->at.size()));
  }

  env::SimWorld world_;
  env::SimHost& host_;
  Renewals renewals_;
  std::shared_ptr<CredentialsHolder> holder_;
};

TEST_F(Holder, CredentialsAreRenewedWellBeforeTheyExpire) {
  const env::Instant start = world_.now();
  world_.run_for(50min);
  ASSERT_EQ(renewals_.at.size(), 1u);
  EXPECT_LE(renewals_.at[0] - start, 50min);
  EXPECT_GE(renewals_.at[0] - start, 45min);
  EXPECT_EQ(holder_->current()->keys.access_key, "K1");
  renewals_.life = 10s;
  world_.run_for(1h);
  EXPECT_GE(renewals_.at.size(), 60u);
}

TEST_F(Holder, ASourceThatFailsIsAskedAgainAndWhatIsInForceStays) {
  renewals_.failures = 5;
  world_.run_for(50min);
  EXPECT_EQ(renewals_.at.size(), 6u);
  EXPECT_EQ(holder_->current()->keys.access_key, "K6");
  EXPECT_NE(log_text.find("cannot be renewed: nobody there"), std::string::npos);
  EXPECT_EQ(log_text.find("hunter"), std::string::npos);
}

TEST_F(Holder, WhatTheStoreRefusesIsRenewedOnceForAllWhoWereRefused) {
  const CredentialsPtr seen = holder_->current();
  for (int i = 0; i < 10; ++i) holder_->renew(seen);
  world_.run_for(5s);
  for (int i = 0; i < 10; ++i) holder_->renew(seen);  // late ones
  world_.run_for(5s);
  EXPECT_EQ(renewals_.at.size(), 1u);
  EXPECT_NE(holder_->current(), seen);
}

TEST_F(Holder, OnceStoppedNothingIsAsked) {
  holder_->stop();
  world_.run_for(2h);
  EXPECT_TRUE(renewals_.at.empty());
}

TEST(S3Token, OneThatExpiresIsRenewedAndRequestsGoOn) {
  log_text.clear();
  set_log_sink(keep_log);
  S3SimWorld::Options options;
  options.url =
      "s3://bucket?endpoint=http://store:9000&accessKey=AK&secretKey=file:secret&sessionToken="
      "file:token";
  options.server.access_key = "AK";
  options.server.secret_key = "hunter2";
  options.server.session_token = "one";
  S3SimWorld world(options);
  auto write = [&world](const std::string& path, const std::string& text) {
    CHECK(env::replace_file(world.shard(0).disk(), path, as_bytes(text)));
  };
  write("secret", "hunter2");
  write("token", "one");
  ASSERT_TRUE(world.put("a", "x"));
  // The store has forgotten it, and nobody has written a new one: it is waited for, not died of.
  world.server().options.session_token = "hunter3";
  auto refused = world.put("b", "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(log_text.find("refuses the credentials"), std::string::npos) << log_text;
  write("token", "hunter3\n");
  const env::Instant start = world.world().now();
  EXPECT_TRUE(world.put("c", "x"));
  EXPECT_LE(world.world().now() - start, 5s);
  EXPECT_EQ((log_text + refused.error().message).find("hunter"), std::string::npos) << log_text;
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace paceline::object
