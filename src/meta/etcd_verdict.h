#pragma once

#include "base/result.h"
#include "meta/etcd_transport.h"

namespace paceline::meta {

// May a call be asked again when nobody knows what became of it?
enum class CallKind : uint8_t { repeatable, once };

// What to do about an answer. Pure.
struct Verdict {
  enum class What : uint8_t {
    done,
    ask_another,   // this member cannot now; nothing has happened, or it may happen twice
    authenticate,  // the token is no longer good; nothing has happened
    failed,        // for good, with `error`
  };
  What what = What::done;
  Error error{};  // of ask_another as well: what to say if time runs out
};

// `sent`: the request may have left us.
Verdict judge(const RpcStatus& status, CallKind kind, bool sent);

}  // namespace paceline::meta
