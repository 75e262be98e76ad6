#include "meta/etcd_verdict.h"

#include <gtest/gtest.h>

namespace paceline::meta {
namespace {

using What = Verdict::What;

Verdict of_commit(RpcCode code, std::string message, bool sent = true) {
  return judge({code, std::move(message)}, CallKind::once, sent);
}

TEST(EtcdVerdict, ACommitWithoutAnAnswerIsAnUnknownOutcomeOnceItWasSent) {
  for (const RpcCode code :
       {RpcCode::unavailable, RpcCode::deadline_exceeded, RpcCode::cancelled, RpcCode::unknown}) {
    const Verdict verdict = of_commit(code, "Socket closed");
    EXPECT_EQ(verdict.what, What::failed);
    EXPECT_EQ(verdict.error.code, Code::maybe_written);
    EXPECT_EQ(of_commit(code, "Socket closed", false).what, What::ask_another);
    const Verdict read = judge({code, "Socket closed"}, CallKind::repeatable, true);
    EXPECT_EQ(read.what, What::ask_another);
    EXPECT_EQ(read.error.code, Code::unavailable);
  }
  EXPECT_EQ(of_commit(RpcCode::unavailable, "etcdserver: request timed out").error.code,
            Code::maybe_written);
}

TEST(EtcdVerdict, AMemberThatSaysNoBeforeItDidAnythingMayBeFollowedByAnother) {
  EXPECT_EQ(of_commit(RpcCode::unavailable, "etcdserver: no leader").what, What::ask_another);
  EXPECT_EQ(of_commit(RpcCode::resource_exhausted, "etcdserver: too many requests").what,
            What::ask_another);
}

TEST(EtcdVerdict, ATokenThatIsNoLongerGoodIsRenewed) {
  EXPECT_EQ(of_commit(RpcCode::unauthenticated, "etcdserver: invalid auth token").what,
            What::authenticate);
  EXPECT_EQ(of_commit(RpcCode::invalid_argument, "etcdserver: revision of auth store is old").what,
            What::authenticate);
  const Verdict wrong = of_commit(RpcCode::invalid_argument,
                                  "etcdserver: authentication failed, invalid user ID or password");
  EXPECT_EQ(wrong.what, What::failed);
  EXPECT_EQ(wrong.error.code, Code::permission_denied);
}

TEST(EtcdVerdict, RefusalsKeepTheirMeaning) {
  EXPECT_EQ(of_commit(RpcCode::resource_exhausted, "etcdserver: mvcc: database space exceeded")
                .error.code,
            Code::no_space);
  EXPECT_EQ(of_commit(RpcCode::not_found, "etcdserver: requested lease not found").error.code,
            Code::not_found);
  EXPECT_EQ(of_commit(RpcCode::invalid_argument, "etcdserver: request is too large").error.code,
            Code::invalid_argument);
  EXPECT_EQ(of_commit(RpcCode::permission_denied, "etcdserver: permission denied").error.code,
            Code::permission_denied);
  EXPECT_EQ(judge({RpcCode::out_of_range, "etcdserver: mvcc: required revision has been compacted"},
                  CallKind::repeatable, true)
                .error.code,
            Code::compacted);
  EXPECT_EQ(of_commit(RpcCode::ok, "").what, What::done);
}

}  // namespace
}  // namespace paceline::meta
