#include "object/s3_verdict.h"

#include <gtest/gtest.h>

namespace paceline::object {
namespace {

net::HttpOutcome answered(int status, std::string_view code, bool repeated = false) {
  net::HttpAnswer answer;
  answer.status = status;
  const std::string text =
      code.empty() ? "" : "<Error><Code>" + std::string(code) + "</Code></Error>";
  answer.body = Slice::copy_of(as_bytes(text));
  return {std::move(answer), net::HttpReached::answered, repeated};
}
S3Judged judged(int status, std::string_view code, bool repeated = false) {
  return judge_s3(answered(status, code, repeated), false);
}

TEST(S3Verdict, WhatTheStoreSaysIsTakenAtItsWord) {
  EXPECT_EQ(judged(200, "").verdict, S3Verdict::fine);
  EXPECT_EQ(judged(204, "").verdict, S3Verdict::fine);
  EXPECT_EQ(judged(412, "PreconditionFailed").verdict, S3Verdict::exists);
  EXPECT_EQ(judged(409, "ConditionalRequestConflict").verdict, S3Verdict::conflict);
  EXPECT_EQ(judged(404, "NoSuchKey").verdict, S3Verdict::missing);
  EXPECT_EQ(judged(404, "NoSuchBucket").verdict, S3Verdict::no_bucket);
  EXPECT_EQ(judged(404, "NoSuchUpload").verdict, S3Verdict::no_upload);
  EXPECT_EQ(judged(416, "InvalidRange").verdict, S3Verdict::range);
  EXPECT_EQ(judged(403, "AccessDenied").verdict, S3Verdict::denied);
  EXPECT_EQ(judged(403, "QuotaExceeded").verdict, S3Verdict::full);
  EXPECT_EQ(judged(403, "ExpiredToken").verdict, S3Verdict::credentials);
  EXPECT_EQ(judged(400, "ExpiredToken").verdict, S3Verdict::credentials);
  EXPECT_EQ(judged(403, "RequestTimeTooSkewed").verdict, S3Verdict::clock);
  EXPECT_EQ(judged(400, "RequestTimeout").verdict, S3Verdict::again);
  EXPECT_EQ(judged(400, "BadDigest").verdict, S3Verdict::again);
  EXPECT_EQ(judged(400, "EntityTooLarge").verdict, S3Verdict::refused);
  EXPECT_EQ(judged(501, "NotImplemented").verdict, S3Verdict::refused);
  EXPECT_EQ(judged(429, "").verdict, S3Verdict::throttled);
}

TEST(S3Verdict, A404ThatDoesNotSayWhatIsMissingIsNoProofThatAnObjectIs) {
  EXPECT_EQ(judged(404, "").verdict, S3Verdict::again);
  EXPECT_EQ(judge_s3(answered(404, ""), true).verdict, S3Verdict::missing);  // to be asked again
}

TEST(S3Verdict, OnlyAnAnswerThatSaysSoProvesThatNothingHappened) {
  EXPECT_TRUE(judged(500, "InternalError").maybe);
  EXPECT_TRUE(judged(502, "").maybe);
  EXPECT_EQ(judged(500, "").verdict, S3Verdict::unknown);
  EXPECT_TRUE(judged(503, "").maybe);  // whoever said it may stand before a store that did it
  EXPECT_EQ(judged(503, "").verdict, S3Verdict::throttled);
  EXPECT_FALSE(judged(503, "SlowDown").maybe);
  EXPECT_FALSE(judged(429, "").maybe);
  EXPECT_FALSE(judged(409, "ConditionalRequestConflict").maybe);
  EXPECT_FALSE(judged(412, "PreconditionFailed").maybe);
}

TEST(S3Verdict, A412AfterATryOverADeadConnectionMayBeOurOwn) {
  EXPECT_TRUE(judged(412, "PreconditionFailed", true).maybe);
  EXPECT_FALSE(judged(200, "", true).maybe);
}

TEST(S3Verdict, WithoutAnAnswerItDependsOnHowFarTheRequestCame) {
  auto lost = [](Code code, net::HttpReached reached) {
    return judge_s3({fail(code, "x"), reached, false}, false);
  };
  EXPECT_EQ(lost(Code::timed_out, net::HttpReached::sent).verdict, S3Verdict::unknown);
  EXPECT_TRUE(lost(Code::timed_out, net::HttpReached::sent).maybe);
  EXPECT_EQ(lost(Code::unavailable, net::HttpReached::nothing).verdict, S3Verdict::again);
  EXPECT_FALSE(lost(Code::unavailable, net::HttpReached::nothing).maybe);
  EXPECT_TRUE(lost(Code::corrupt, net::HttpReached::sent).maybe);
  EXPECT_EQ(lost(Code::cancelled, net::HttpReached::sent).verdict, S3Verdict::cancelled);
}

S3Judged of(S3Verdict verdict, bool maybe = false) {
  return {verdict, maybe, ""};
}

TEST(S3Verdict, OfTwoAttemptsASuccessCounts) {
  for (const S3Judged& other :
       {of(S3Verdict::exists), of(S3Verdict::conflict), of(S3Verdict::unknown, true),
        of(S3Verdict::throttled), of(S3Verdict::cancelled, true)}) {
    for (const S3Judged& both :
         {combine(of(S3Verdict::fine), other), combine(other, of(S3Verdict::fine))}) {
      EXPECT_EQ(both.verdict, S3Verdict::fine);
      EXPECT_FALSE(both.maybe);
    }
  }
}

TEST(S3Verdict, OfTwoAttemptsA412IsSomebodyElsesOnlyIfTheOtherIsKnownToHaveDoneNothing) {
  EXPECT_FALSE(combine(of(S3Verdict::exists), of(S3Verdict::exists)).maybe);
  EXPECT_FALSE(combine(of(S3Verdict::throttled), of(S3Verdict::exists)).maybe);
  EXPECT_EQ(combine(of(S3Verdict::throttled), of(S3Verdict::exists)).verdict, S3Verdict::exists);
  EXPECT_TRUE(combine(of(S3Verdict::exists), of(S3Verdict::unknown, true)).maybe);
  EXPECT_EQ(combine(of(S3Verdict::unknown, true), of(S3Verdict::exists)).verdict,
            S3Verdict::exists);
  EXPECT_EQ(combine(of(S3Verdict::conflict), of(S3Verdict::exists)).verdict, S3Verdict::exists);
}

TEST(S3Verdict, WhatTheStoreSaysOfCredentialsIsNotRepeated) {
  net::HttpOutcome outcome = answered(403, "");
  outcome.answer->body = Slice::copy_of(
      as_bytes("<Error><Code>InvalidToken</Code><Message>hunter2 is no token</Message></Error>"));
  EXPECT_EQ(judge_s3(outcome, false).why, "the store answered 403 InvalidToken");
  outcome.answer->body =
      Slice::copy_of(as_bytes("<Error><Code>AccessDenied</Code><Message>why</Message></Error>"));
  EXPECT_EQ(judge_s3(outcome, false).why, "the store answered 403 AccessDenied (why)");
}

TEST(S3Verdict, EachHasItsName) {
  EXPECT_EQ(verdict_name(S3Verdict::fine), "fine");
  EXPECT_EQ(verdict_name(S3Verdict::full), "full");
  EXPECT_EQ(verdict_name(S3Verdict::cancelled), "cancelled");
}

}  // namespace
}  // namespace paceline::object
