#include "object/s3_sign.h"

#include <gtest/gtest.h>

namespace paceline::object {
namespace {

// The first four are the examples of Amazon's own description of Signature Version 4 for S3; the
// others were computed with Python's hmac and hashlib.

const SigningKeys kKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr int64_t kMay2013 = 1369353600000;
constexpr int64_t kNov2026 = 1795725660000;

std::string signature(SignedRequest request, const std::string& region, const std::string& service,
                      int64_t wall_ms, const SigningKeys& keys, std::string_view payload) {
  Signer signer(region, service);
  (void)signer.sign(request, keys, wall_ms, payload);
  const std::string& text = request.headers["authorization"];
  return text.substr(text.find("Signature=") + 10);
}

std::string hash_of(std::string_view text) {
  return sha256_hex({Slice::copy_of(as_bytes(text))});
}

SignedRequest example(std::string method, std::string path) {
  return {std::move(method), std::move(path), {}, {{"host", "examplebucket.s3.amazonaws.com"}}};
}

TEST(S3Sign, AmazonsExamples) {
  SignedRequest get = example("GET", "/test.txt");
  get.headers["range"] = "bytes=0-9";
  EXPECT_EQ(signature(get, "us-east-1", "s3", kMay2013, kKeys, hash_of("")),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  SignedRequest put = example("PUT", "/test%24file.text");
  put.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  put.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  EXPECT_EQ(signature(put, "us-east-1", "s3", kMay2013, kKeys, hash_of("Welcome to Amazon S3.")),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  SignedRequest lifecycle = example("GET", "/");
  lifecycle.query = {{"lifecycle", ""}};
  EXPECT_EQ(signature(lifecycle, "us-east-1", "s3", kMay2013, kKeys, hash_of("")),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  SignedRequest list = example("GET", "/");
  list.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(signature(list, "us-east-1", "s3", kMay2013, kKeys, hash_of("")),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Sign, OddParametersPathsTokensAndServices) {
  SignedRequest list = example("GET", "/");
  list.query = {{"prefix", "a/b c"}, {"list-type", "2"}, {"start-after", "a/b c+=&~"}, {"x", ""}};
  EXPECT_EQ(signature(list, "us-east-1", "s3", kMay2013, kKeys, hash_of("")),
            "f068018da724bdbbdb1565039bc8106f222c0fdf585ff1dd4263d6615f7aab55");
  SignedRequest put{"PUT",
                    "/bucket/a/b%20%2B%3D%26~%C3%A4",
                    {},
                    {{"host", "127.0.0.1:7480"}, {"if-none-match", "*"}}};
  SigningKeys lent = kKeys;
  lent.session_token = "tok/en+=";
  EXPECT_EQ(signature(put, "eu-central-1", "s3", kNov2026, lent, kUnsignedPayload),
            "764225a415cb2b1fd0b941a26796fa6f469a2b631c2f4a51902dec97bf0337a0");
  SignedRequest sts{"POST",
                    "/",
                    {},
                    {{"host", "sts.eu-west-1.amazonaws.com"},
                     {"content-type", "application/x-www-form-urlencoded"}}};
  EXPECT_EQ(signature(sts, "eu-west-1", "sts", kNov2026, kKeys, hash_of("Action=AssumeRole")),
            "0caff3eb4fdb6b15fb2c6c2fd7ebea822d78cf6f173bc30596763c43b40499f3");
}

TEST(S3Sign, WhatWasSignedIsWhatIsSent) {
  SignedRequest list = example("GET", "/a%20b");
  list.query = {{"z", "ä"}, {"a", "b c"}, {"uploads", ""}};
  Signer signer("us-east-1", "s3");
  EXPECT_EQ(signer.sign(list, kKeys, kMay2013, hash_of("")), "/a%20b?a=b%20c&uploads=&z=%C3%A4");
  EXPECT_EQ(list.headers["x-amz-date"], "20130524T000000Z");
  EXPECT_FALSE(list.headers.contains("x-amz-security-token"));
}

TEST(S3Sign, TheKeyOfADayIsDerivedAnewForAnotherDayOrSecret) {
  Signer kept("us-east-1", "s3");
  auto with_kept = [&kept](int64_t wall_ms, const SigningKeys& keys) {
    SignedRequest request = example("GET", "/k");
    (void)kept.sign(request, keys, wall_ms, hash_of(""));
    const std::string& text = request.headers["authorization"];
    return text.substr(text.find("Signature=") + 10);
  };
  SigningKeys others = kKeys;
  others.secret_key = "another";
  for (const auto& [wall_ms, keys] : {std::pair{kMay2013, kKeys}, std::pair{kNov2026, kKeys},
                                      std::pair{kNov2026, others}, std::pair{kMay2013, kKeys}})
    EXPECT_EQ(with_kept(wall_ms, keys),
              signature(example("GET", "/k"), "us-east-1", "s3", wall_ms, keys, hash_of("")));
}

TEST(S3Sign, SmallParts) {
  EXPECT_EQ(amz_time(0), "19700101T000000Z");
  EXPECT_EQ(amz_time(kNov2026 + 59'999), "20261126T204159Z");
  EXPECT_EQ(base64_of(as_bytes("")), "");
  EXPECT_EQ(base64_of(as_bytes("ab")), "YWI=");
  EXPECT_EQ(md5_base64("hello"), "XUFAKrxLKna5cZ2REBfFkg==");
  EXPECT_EQ(sha256_hex({Slice::copy_of(as_bytes("Welcome to ")), Slice(),
                        Slice::copy_of(as_bytes("Amazon S3."))}),
            hash_of("Welcome to Amazon S3."));
}

}  // namespace
}  // namespace paceline::object
