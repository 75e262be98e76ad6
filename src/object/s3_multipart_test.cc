#include <gtest/gtest.h>

#include <map>

#include "object/test_s3_world.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;
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
    return world_.wait(world_.store().put_if_absent(world_.shard(0), key, std::move(body)));
  }
  void probe() { ASSERT_TRUE(world_.wait(world_.s3().probe(world_.shard(0)))); }
  // Since the last time it was asked.
  uint64_t asked(S3Kind kind) {
    const uint64_t now = world_.stats(kind).requests;
    return now - std::exchange(asked_[kind], now);
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
  std::map<S3Kind, uint64_t> asked_;
};

TEST_F(S3Multipart, ALargeBodyGoesInPartsAndASmallOneInOneRequest) {
  probe();
  asked(S3Kind::multipart_part);
  asked(S3Kind::put);
  ASSERT_TRUE(put("large", large_));
  EXPECT_EQ(server().objects["some/prefix/large"], large_);
  EXPECT_EQ(asked(S3Kind::multipart_part), 11u);
  EXPECT_EQ(asked(S3Kind::put), 0u);
  EXPECT_TRUE(server().uploads.empty());
  ASSERT_TRUE(put("small", large_.substr(0, 200'000)));
  EXPECT_EQ(asked(S3Kind::put), 1u);
}

TEST_F(S3Multipart, PartsAreUsedOnlyWhereTheProbeHasSeenTheConditionKept) {
  ASSERT_TRUE(put("unproved", large_));
  EXPECT_EQ(asked(S3Kind::multipart_create), 0u);
  server().options.honours_conditions_of_parts = false;
  probe();
  asked(S3Kind::multipart_create);
  ASSERT_TRUE(put("ceph", large_));
  EXPECT_EQ(asked(S3Kind::multipart_create), 0u);
  // One that knows no parts is as good a store.
  server().faults = [](const TestS3Request& request) {
    return request.method == "POST" ? TestS3Fault::status(501, "NotImplemented") : TestS3Fault{};
  };
  probe();
  asked(S3Kind::multipart_create);
  ASSERT_TRUE(put("other", large_));
  EXPECT_EQ(asked(S3Kind::multipart_create), 0u);
  EXPECT_EQ(server().objects.size(), 3u);
}

TEST_F(S3Multipart, TheFirstBodyStays) {
  probe();
  ASSERT_TRUE(put("a", large_));
  for (const std::string& again : {large_, std::string(400'000, 'x')})
    EXPECT_EQ(put("a", again).error().code, Code::already_exists);
  EXPECT_EQ(server().objects["some/prefix/a"], large_);
  EXPECT_TRUE(server().uploads.empty());
  fail_first("uploadId", "POST", TestS3Fault::status(409, "ConditionalRequestConflict"));
  EXPECT_TRUE(put("b", large_));
  server().faults = [](const TestS3Request& request) {
    const bool hit = request.method == "POST" && request.parameter("uploadId");
    return hit ? TestS3Fault::status(409, "ConditionalRequestConflict") : TestS3Fault{};
  };
  EXPECT_EQ(put("c", large_).error().code, Code::conflict);
  EXPECT_TRUE(server().uploads.empty());
}

TEST_F(S3Multipart, PartsThatFailAreSentAgain) {
  probe();
  fail_first("partNumber", "PUT", {Kind::reset_after});
  ASSERT_TRUE(put("a", large_));
  EXPECT_EQ(server().objects["some/prefix/a"], large_);
}

// Whether ours is there is for the caller to see: the body tells.
TEST_F(S3Multipart, AnEndThatIsNotHeardOfIsUnknownWhateverBecameOfIt) {
  probe();
  fail_first("uploadId", "POST", {Kind::reset_after});
  EXPECT_EQ(put("a", large_).error().code, Code::maybe_written);
  EXPECT_EQ(server().objects["some/prefix/a"], large_);
  EXPECT_EQ(put("a", large_).error().code, Code::already_exists);
  // It is not there, and the same put once more makes it.
  fail_first("uploadId", "POST", {Kind::reset_before});
  const auto reset = put("b", large_);
  EXPECT_TRUE(reset || reset.error().code == Code::maybe_written);
  // An answer of 200 that says in its body that it failed.
  fail_first("uploadId", "POST",
             {Kind::answer, {200, "<Error><Code>InternalError</Code></Error>"}});
  EXPECT_EQ(put("c", large_).error().code, Code::maybe_written);
  EXPECT_FALSE(server().objects.contains("some/prefix/c"));
  EXPECT_TRUE(put("c", large_));
  // Somebody has ended it, or we have put it together: neither is known.
  fail_first("uploadId", "POST", TestS3Fault::status(404, "NoSuchUpload"));
  EXPECT_EQ(put("d", large_).error().code, Code::maybe_written);
  server().faults = [](const TestS3Request& request) {
    const bool hit = request.method == "POST" && request.parameter("uploadId");
    return hit ? TestS3Fault{Kind::reset_after} : TestS3Fault{};
  };
  EXPECT_EQ(put("e", large_).error().code, Code::maybe_written);
}

// The end that nobody heard of comes when the key has another body by then: it changes nothing.
TEST_F(S3Multipart, AnEndThatComesLateReplacesNothing) {
  probe();
  server().faults = [](const TestS3Request& request) {
    const bool hit = request.method == "POST" && request.parameter("uploadId");
    return hit ? TestS3Fault{.delay = 1min} : TestS3Fault{};
  };
  EXPECT_EQ(put("a", large_).error().code, Code::maybe_written);
  server().faults = nullptr;
  EXPECT_EQ(unfinished("a").size(), 1u);
  const std::string other(400'000, 'x');
  ASSERT_TRUE(put("a", other));
  world_.world().run_for(2min);
  EXPECT_EQ(server().objects["some/prefix/a"], other);
}

TEST_F(S3Multipart, WhatCannotBeFinishedIsEndedAndWhatIsLeftIsFoundByCollection) {
  probe();
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
