#pragma once

#include "base/log.h"
#include "base/result.h"
#include "env/backoff.h"
#include "env/shard.h"

namespace paceline::stream {

using env::Backoff;

// Whether waiting may help: a store that fails degrades us, it never halts us.
inline bool is_transient(Code code) {
  switch (code) {
    case Code::unavailable:
    case Code::timed_out:
    case Code::io_error:
    case Code::no_space:
    case Code::permission_denied:
    case Code::closed:
      return true;
    default:
      return false;
  }
}

// Runs `make()` until its result is no transient failure. An operator who waits for it is told
// why, now and then.
template <class Make>
auto retry_transient(env::Shard& shard, Make make) -> std::invoke_result_t<Make&> {
  Backoff backoff;
  env::Instant next_line{};
  for (;;) {
    auto result = co_await make();
    if (result || !is_transient(result.error().code)) co_return result;
    if (shard.now() >= next_line) {
      next_line = shard.now() + std::chrono::seconds(10);
      log_warn("storage: recovery waits: {}", result.error().to_string());
    }
    co_await env::sleep_for(shard, backoff.next(shard.random()));
  }
}

}  // namespace paceline::stream
