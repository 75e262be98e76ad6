#include "meta/etcd_verdict.h"

#include <fmt/format.h>

namespace paceline::meta {
namespace {

using What = Verdict::What;

Verdict failed(Code code, std::string message) {
  return {What::failed, {code, std::move(message)}};
}

bool has(const RpcStatus& status, std::string_view words) {
  return status.message.find(words) != std::string::npos;
}

// Of answers that a member gives before it does anything.
bool nothing_happened(const RpcStatus& status) {
  return has(status, "etcdserver: no leader") || has(status, "etcdserver: too many requests") ||
         has(status, "etcdserver: not capable");
}

Verdict judge_unknown(const RpcStatus& status, CallKind kind, bool sent) {
  Error error{Code::unavailable, fmt::format("etcd does not answer: {}", status.message)};
  if (kind == CallKind::repeatable || !sent || nothing_happened(status))
    return {What::ask_another, std::move(error)};
  return failed(Code::maybe_written,
                fmt::format("etcd did not say whether it committed: {}", status.message));
}

}  // namespace

Verdict judge(const RpcStatus& status, CallKind kind, bool sent) {
  switch (status.code) {
    case RpcCode::ok:
      return {};
    case RpcCode::unauthenticated:
      return {What::authenticate, {Code::permission_denied, "etcd: " + status.message}};
    case RpcCode::permission_denied:
      return failed(Code::permission_denied, "etcd: " + status.message);
    case RpcCode::not_found:
      return failed(Code::not_found, "etcd: " + status.message);
    case RpcCode::invalid_argument:
      if (has(status, "revision of auth store is old") || has(status, "invalid auth token"))
        return {What::authenticate, {Code::permission_denied, "etcd: " + status.message}};
      if (has(status, "authentication failed") || has(status, "user name is empty"))
        return failed(Code::permission_denied, "etcd: " + status.message);
      return failed(Code::invalid_argument, "etcd: " + status.message);
    case RpcCode::out_of_range:
      if (has(status, "compacted")) return failed(Code::compacted, "etcd: " + status.message);
      return judge_unknown(status, kind, sent);
    case RpcCode::resource_exhausted:
      if (has(status, "space exceeded"))
        return failed(Code::no_space,
                      "etcd's quota is used up: compact and defragment it, then disarm its alarm");
      if (has(status, "larger than max"))
        return failed(Code::invalid_argument, "etcd: " + status.message);
      return judge_unknown(status, kind, sent);
    case RpcCode::data_loss:
      return failed(Code::corrupt, "etcd: " + status.message);
    case RpcCode::failed_precondition:
      return failed(Code::unsupported, "etcd: " + status.message);
    case RpcCode::cancelled:
    case RpcCode::unknown:
    case RpcCode::deadline_exceeded:
    case RpcCode::unavailable:
      break;
  }
  return judge_unknown(status, kind, sent);
}

}  // namespace paceline::meta
