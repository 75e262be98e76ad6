#include "object/s3_location.h"

#include <gtest/gtest.h>

namespace paceline::object {
namespace {

TEST(S3Location, EverythingAUrlCanSay) {
  auto location = parse_s3_url(
      "s3://my-bucket/a/b/?region=eu-west-1&endpoint=http://127.0.0.1:9000&pathStyle=false"
      "&caFile=/etc/my%20ca.pem&sse=aws:kms:arn:aws:kms:eu-west-1:1:key/x&checksum=false"
      "&signPayload=true&accessKey=AK&secretKey=s%2Becret&sessionToken=file:/run/token",
      {});
  ASSERT_TRUE(location) << location.error().message;
  EXPECT_EQ(location->bucket, "my-bucket");
  EXPECT_EQ(location->prefix, "a/b");
  EXPECT_EQ(location->region, "eu-west-1");
  EXPECT_EQ(location->host, "127.0.0.1");
  EXPECT_EQ(location->port, 9000);
  EXPECT_FALSE(location->tls);
  EXPECT_FALSE(location->path_style);
  EXPECT_EQ(location->ca_file, "/etc/my ca.pem");
  EXPECT_EQ(location->sse, S3Location::Sse::kms);
  EXPECT_EQ(location->kms_key, "arn:aws:kms:eu-west-1:1:key/x");
  EXPECT_FALSE(location->checksum);
  EXPECT_EQ(location->sign_payload, S3Location::SignPayload::always);
  EXPECT_EQ(location->secret_key, "s+ecret");
  const std::string shown = location->redacted();
  EXPECT_EQ(shown.find("s+ecret"), std::string::npos);
  EXPECT_EQ(shown.find("/run/token"), std::string::npos);
  EXPECT_NE(shown.find("secretKey=***"), std::string::npos);
}

TEST(S3Location, DefaultsOfAmazonAndOfACustomEndpoint) {
  auto amazon = parse_s3_url("s3://my-bucket?region=eu-west-1", {});
  ASSERT_TRUE(amazon);
  EXPECT_EQ(amazon->host, "s3.eu-west-1.amazonaws.com");
  EXPECT_TRUE(amazon->tls && !amazon->path_style && amazon->port == 443 && amazon->checksum);
  EXPECT_EQ(amazon->prefix, "");
  // Its certificate does not cover a name with more dots.
  auto dotted = parse_s3_url("s3://my.bucket/p?region=eu-west-1", {});
  EXPECT_TRUE(dotted && dotted->path_style);
  auto custom = parse_s3_url("s3://bucket/p?endpoint=https://[::1]:9000", {});
  ASSERT_TRUE(custom);
  EXPECT_TRUE(custom->path_style && custom->host == "::1" && custom->region == "us-east-1");
  Environment environment{{"AWS_REGION", "eu-north-1"},
                          {"AWS_DEFAULT_REGION", "no-such"},
                          {"AWS_ENDPOINT_URL", "http://minio:9000"}};
  auto named = parse_s3_url("s3://bucket", environment);
  EXPECT_TRUE(named && named->region == "eu-north-1" && named->host == "minio" && !named->tls);
}

TEST(S3Location, PartsFromIsANumberOfBytes) {
  auto location = parse_s3_url("s3://bucket?region=a&partsFrom=5242880", {});
  ASSERT_TRUE(location);
  EXPECT_EQ(location->parts_from, 5242880u);
  EXPECT_NE(location->redacted().find("&partsFrom=5242880"), std::string::npos);
}

TEST(S3Location, WhatIsWrongIsOneSentenceWithoutASecret) {
  for (const char* bad : {"http://bucket/",
                          "s3://",
                          "s3:///prefix?region=a",
                          "s3://b/?region=a",
                          "s3://bucket/a//b?region=a",
                          "s3://bucket/a%2?region=a",
                          "s3://bucket/%41%0a?region=a",
                          "s3://bucket?region=a&foo=hunter2",
                          "s3://bucket?region=a&region=b",
                          "s3://bucket?region=a&pathStyle=yes",
                          "s3://bucket?region=a&sse=hunter2",
                          "s3://bucket?region=a&partsFrom=5242879",
                          "s3://bucket?region=a&partsFrom=8MiB",
                          "s3://bucket?region",
                          "s3://bucket",
                          "s3://bucket?region=a/../b",
                          "s3://bucket?endpoint=ftp://x",
                          "s3://bucket?endpoint=http://x:0",
                          "s3://bucket?endpoint=http://x:99999",
                          "s3://bucket?endpoint=http://x/path",
                          "s3://bucket?endpoint=http://",
                          "s3://bucket?endpoint=http://[::1",
                          "s3://bucket?region=a&accessKey=x",
                          "s3://bucket?region=a&secretKey=hunter2",
                          "s3://AK:hunter2@bucket?region=a",
                          "s3://bucket?region=a&credentials=env&accessKey=a&secretKey=hunter2"}) {
    auto location = parse_s3_url(bad, {});
    ASSERT_FALSE(location) << bad;
    EXPECT_EQ(location.error().code, Code::invalid_argument);
    EXPECT_EQ(location.error().message.find("hunter2"), std::string::npos) << bad;
    EXPECT_EQ(location.error().message.find('\n'), std::string::npos) << bad;
  }
}

TEST(S3Location, UrlsAreEncodedOnceAndDecodedBack) {
  EXPECT_EQ(url_encode("a/b c+~%", true), "a/b%20c%2B~%25");
  EXPECT_EQ(url_encode("a/b", false), "a%2Fb");
  EXPECT_EQ(*url_decode("a/b%20c%2b~%25+"), "a/b c+~%+");
  for (const char* bad : {"%", "%4", "a%4", "%zz", "%4z"}) EXPECT_FALSE(url_decode(bad)) << bad;
  EXPECT_EQ(*url_decode("%41"), "A");
}

}  // namespace
}  // namespace paceline::object
