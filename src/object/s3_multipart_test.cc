#include <gtest/gtest.h>

#include "object/test_s3_world.h"

namespace paceline::object {
namespace {

using Kind = TestS3Fault::Kind;

class S3Multipart : public testing::Test {
 protected:
  S3Multipart() : world_(options()) {}
  static S3SimWorld::Options options() {
    S3SimWorld::Options wanted;
    wanted.part_bytes = 100'000;
    wanted.multipart_bytes_min = 250'000;
    return wanted;
  }
  Result<void> put(const std::string& key, const std::string& text) {
    std::vector<Slice> body;
    for (size_t at = 0; at < text.size(); at += 77'777)
      body.push_back(Slice::copy_of(as_bytes(std::string_view(text).substr(at, 77'777))));
    return world_.wait(world_.store().put_unique(world_.shard(0), key, std::move(body)));
  }
  std::vector<Unfinished> unfinished(const std::string& prefix) {
    auto found = world_.wait(world_.store().list_unfinished(world_.shard(0), prefix, 100));
    CHECK(found.has_value());
    return *found;
  }
  // `fault` for the first request that has `parameter`.
  void fail_first(std::string parameter, std::string method, TestS3Fault fault) {
    server().faults = [parameter = std::move(parameter), method = std::move(method),
                       fault = std::move(fault), left = 1](const TestS3Request& request) mutable {
      const bool hit = request.method == method && request.parameter(parameter) && left-- > 0;
      return hit ? fault : TestS3Fault{};
    };
  }
  TestS3Server& server() { return world_.server(); }

  S3SimWorld world_;
  const std::string large_ = [] {
    std::string text(1'050'001, '\0');
    for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + i / 1000);
    return text;
  }();
};

TEST_F(S3Multipart, ALargeBodyGoesInPartsAndASmallOneInOneRequest) {
  ASSERT_TRUE(put("large", large_));
  EXPECT_EQ(server().objects["some/prefix/large"], large_);
  EXPECT_EQ(world_.stats(S3Kind::multipart_part).requests, 11u);
  EXPECT_EQ(world_.stats(S3Kind::put).requests, 0u);
  EXPECT_TRUE(server().uploads.empty());
  ASSERT_TRUE(put("small", large_.substr(0, 200'000)));
  EXPECT_EQ(world_.stats(S3Kind::put).requests, 1u);
}

TEST_F(S3Multipart, ConditionsAreNeverLeftToPartsSinceStoresIgnoreThemThere) {
  std::vector<Slice> body{Slice::copy_of(as_bytes(large_))};
  ASSERT_TRUE(world_.wait(world_.store().put_if_absent(world_.shard(0), "large", body)));
  EXPECT_EQ(world_.stats(S3Kind::put).requests, 1u);
  EXPECT_EQ(world_.stats(S3Kind::multipart_create).requests, 0u);
}

TEST_F(S3Multipart, PartsThatFailAreSentAgain) {
  fail_first("partNumber", "PUT", {Kind::reset_after});
  ASSERT_TRUE(put("a", large_));
  EXPECT_EQ(server().objects["some/prefix/a"], large_);
}

TEST_F(S3Multipart, AnEndThatIsNotHeardOfIsLookedUp) {
  fail_first("uploadId", "POST", {Kind::reset_after});
  ASSERT_TRUE(put("a", large_));
  EXPECT_EQ(server().objects["some/prefix/a"], large_);
  // An answer of 200 that says in its body that it failed.
  fail_first("uploadId", "POST",
             {Kind::answer, {200, "<Error><Code>InternalError</Code></Error>"}});
  EXPECT_EQ(put("b", large_).error().code, Code::unavailable);
  EXPECT_FALSE(server().objects.contains("some/prefix/b"));
  EXPECT_TRUE(server().uploads.empty());
  // It is looked up, and nobody says anything: it stays unknown.
  server().faults = [](const TestS3Request& request) {
    const bool hit = (request.method == "POST" && request.parameter("uploadId")) ||
                     request.method == "HEAD" || request.method == "GET";
    return hit ? TestS3Fault{Kind::reset_after} : TestS3Fault{};
  };
  EXPECT_EQ(put("c", large_).error().code, Code::maybe_written);
}

TEST_F(S3Multipart, WhatCannotBeFinishedIsEndedAndWhatIsLeftIsFoundByCollection) {
  server().faults = [](const TestS3Request& request) {
    const std::string* number = request.parameter("partNumber");
    return number && *number == "3" ? TestS3Fault::status(403, "AccessDenied") : TestS3Fault{};
  };
  EXPECT_EQ(put("a", large_).error().code, Code::permission_denied);
  EXPECT_TRUE(server().uploads.empty());
  // Neither the parts nor the end of the upload work.
  server().faults = [](const TestS3Request& request) {
    const bool hit = request.parameter("partNumber") || request.method == "DELETE";
    return hit ? TestS3Fault::status(403, "AccessDenied") : TestS3Fault{};
  };
  EXPECT_FALSE(put("dir/b", large_));
  server().faults = nullptr;
  server().uploads["of others"] = {"elsewhere/x", {}, 0};
  EXPECT_TRUE(unfinished("other/").empty());
  const auto left = unfinished("dir/");
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].key, "dir/b");
  EXPECT_EQ(left[0].began_ms, 1795725660000);
  for (int twice = 0; twice < 2; ++twice)
    EXPECT_TRUE(world_.wait(world_.store().end_unfinished(world_.shard(0), left[0])));
  EXPECT_EQ(server().uploads.size(), 1u);
  EXPECT_TRUE(unfinished("").empty());
}

}  // namespace
}  // namespace paceline::object
