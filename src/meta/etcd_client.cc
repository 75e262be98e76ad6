#include "meta/etcd_client.h"

#include <fmt/format.h>

#include "base/log.h"
#include "meta/gen/etcd.pb.h"

namespace paceline::meta {
namespace {

using namespace std::chrono_literals;
using What = Verdict::What;

// etcd elects a leader in one to two seconds by default. Nobody waits for one member any longer: a
// question that may be repeated goes to the next one, a commit has an unknown outcome (what a
// member sends to a leader that has just died is never answered).
constexpr env::Duration kAttemptTimeout = 1s;
constexpr env::Duration kCommitTimeout = 2s;
constexpr env::Duration kAuthenticateTimeout = 2s;  // it hashes slowly, on purpose
constexpr int kAuthenticationsMax = 3;              // by one call

}  // namespace

EtcdClient::EtcdClient(EtcdOptions options, const TlsFiles* tls, uint64_t first)
    : options_(std::move(options)), current_(first % options_.endpoints.size()) {
  for (const std::string& address : options_.endpoints)
    members_.push_back(std::make_unique<Member>(address, tls, gate_));
}

Task<Result<std::string>> EtcdClient::call(env::Shard& shard, std::string method,
                                           std::string request, CallKind kind) {
  return call_until_answered(shard, {.method = std::move(method),
                                     .request = std::move(request),
                                     .kind = kind,
                                     .as_stream = false,
                                     .deadline = shard.now() + options_.call_timeout});
}

Task<Result<std::string>> EtcdClient::call_stream(env::Shard& shard, std::string method,
                                                  std::string request) {
  return call_until_answered(shard, {.method = std::move(method),
                                     .request = std::move(request),
                                     .kind = CallKind::repeatable,
                                     .as_stream = true,
                                     .deadline = shard.now() + options_.call_timeout});
}

Task<Result<std::string>> EtcdClient::call_until_answered(env::Shard& shard, Question question) {
  int authentications = 0;
  for (size_t tries = 1;; ++tries) {
    std::string answer;
    const Token token = token_.load();
    Verdict verdict = co_await try_call(shard, question, &answer);
    if (verdict.what == What::done) co_return answer;
    if (verdict.what == What::failed) co_return fail(std::move(verdict.error));
    if (closed()) co_return fail(Code::closed, "the metadata store is closed");
    if (verdict.what == What::authenticate && ++authentications <= kAuthenticationsMax) {
      verdict = co_await authenticate(shard, token, question.deadline);
      if (verdict.what == What::done) continue;
    }
    if (verdict.what != What::ask_another) co_return fail(std::move(verdict.error));
    env::Duration pause = 0ms;
    if (tries % members_.size() == 0) pause = 20ms + (shard.random() % 80) * 1ms;
    if (shard.now() + pause >= question.deadline) co_return fail(std::move(verdict.error));
    if (pause > 0ms) co_await env::sleep_for(shard, pause);
  }
}

Task<Verdict> EtcdClient::try_call(env::Shard& shard, const Question& question,
                                   std::string* answer) {
  const size_t index = current_;
  RpcChannel& channel = members_[index]->channel;
  // Only what goes over a connection can have been heard: so that a member that is not there is
  // no unknown outcome, one is made first, by a question that does nothing.
  if (question.kind == CallKind::once && !channel.connected()) {
    const env::Duration wait = std::min(kAttemptTimeout, question.deadline - shard.now());
    RpcAnswer probe =
        co_await channel.call(shard, "/etcdserverpb.Maintenance/Status", "", wait, "");
    // A member that says no is there.
    Verdict reached = judge(probe.status, CallKind::repeatable, false);
    if (reached.what == What::ask_another) {
      leave_member(index, probe.status);
      co_return reached;
    }
  }
  const Token token = token_.load();
  if (!options_.user.empty() && !token)
    co_return Verdict{What::authenticate, {Code::unavailable, "etcd gave no token yet"}};
  const env::Duration longest =
      question.kind == CallKind::repeatable ? kAttemptTimeout : kCommitTimeout;
  const env::Duration timeout = std::min(longest, question.deadline - shard.now());
  RpcAnswer got = co_await ask(shard, channel, question, timeout, token ? *token : "");
  Verdict verdict = judge(got.status, question.kind, true);
  if (verdict.what == What::ask_another || verdict.error.code == Code::maybe_written) {
    leave_member(index, got.status);
  } else {
    note_answer(index);
  }
  *answer = std::move(got.bytes);
  co_return verdict;
}

Task<RpcAnswer> EtcdClient::ask(env::Shard& shard, RpcChannel& channel, const Question& question,
                                env::Duration timeout, std::string token) {
  if (!question.as_stream)
    co_return co_await channel.call(shard, question.method, question.request, timeout,
                                    std::move(token));
  auto stream = channel.open(shard, question.method, question.request, timeout, token);
  auto bytes = co_await stream->read();
  if (!bytes) {
    RpcStatus status = stream->status();
    if (status.code == RpcCode::ok) status = {RpcCode::unavailable, "the stream ended"};
    co_return RpcAnswer{std::move(status), {}};
  }
  co_return RpcAnswer{{}, std::move(*bytes)};
}

Task<Verdict> EtcdClient::authenticate(env::Shard& shard, Token stale, env::Instant deadline) {
  if (options_.user.empty())
    co_return Verdict{What::failed,
                      {Code::permission_denied, "etcd wants a user, and none is configured"}};
  if (token_.load() != stale) co_return Verdict{};
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(options_.password);
  const size_t index = current_;
  const env::Duration timeout = std::min(kAuthenticateTimeout, deadline - shard.now());
  RpcAnswer got = co_await members_[index]->channel.call(shard, "/etcdserverpb.Auth/Authenticate",
                                                         request.SerializeAsString(), timeout, "");
  // As etcd's own client does: where nobody asks for a token none is needed.
  if (got.status.code == RpcCode::failed_precondition) {
    token_ = std::make_shared<const std::string>();
    co_return Verdict{};
  }
  Verdict verdict = judge(got.status, CallKind::repeatable, false);
  if (verdict.what == What::ask_another) leave_member(index, got.status);
  if (verdict.what != What::done) co_return verdict;
  etcdserverpb::AuthenticateResponse response;
  if (!response.ParseFromString(got.bytes))
    co_return Verdict{What::failed, {Code::corrupt, "etcd's answer cannot be read"}};
  token_ = std::make_shared<const std::string>(response.token());
  co_return Verdict{};
}

Task<Result<EtcdClient::Opened>> EtcdClient::open(env::Shard& shard, std::string method,
                                                  std::string request, bool renew) {
  if (closed()) co_return fail(Code::closed, "the metadata store is closed");
  Token token = token_.load();
  if (!options_.user.empty() && (!token || renew)) {
    const Verdict verdict =
        co_await authenticate(shard, token, shard.now() + options_.call_timeout);
    if (verdict.what != What::done) co_return fail(verdict.error);
    token = token_.load();
  }
  const size_t index = current_;
  RpcChannel& channel = members_[index]->channel;
  co_return Opened{channel.open(shard, method, request, std::nullopt, token ? *token : ""), index};
}

void EtcdClient::leave_member(size_t index, const RpcStatus& why) {
  size_t expected = index;
  const size_t next = (index + 1) % members_.size();
  current_.compare_exchange_strong(expected, next);
  if (!closed() && members_[index]->answers.exchange(false))
    log_warn("etcd at {} does not answer: {}", members_[index]->channel.address(), why.message);
}

void EtcdClient::note_answer(size_t index) {
  if (members_[index]->answers.load(std::memory_order_relaxed)) return;
  if (!members_[index]->answers.exchange(true))
    log_info("etcd at {} answers again", members_[index]->channel.address());
}

Result<void> EtcdClient::note_revision(int64_t floor, int64_t revision) {
  if (revision < floor)
    return fail(Code::corrupt,
                fmt::format("etcd has gone back from revision {} to {}: was a backup restored?",
                            floor, revision));
  for (int64_t known = newest_; known < revision;)
    if (newest_.compare_exchange_weak(known, revision)) break;
  return {};
}

}  // namespace paceline::meta
