#include "server/log_place.h"

#include "env/ask.h"

namespace paceline::server {
namespace {

// Nobody ever writes it: that it is not there is an answer.
constexpr std::string_view kNoObject = "is-anybody-there";

// Every answer shows that the way is whole, a refusal too: who may not write is told elsewhere.
Task<bool> answers(env::Shard& shard, object::Store& store, env::Duration within) {
  const auto answer =
      co_await env::ask(shard, shard.now() + within, store.size(shard, std::string(kNoObject)));
  if (!answer.result) co_return false;
  const auto& size = *answer.result;
  co_return size ||
      (size.error().code != Code::unavailable && size.error().code != Code::timed_out);
}

}  // namespace

cluster::LogPlace log_place(env::Shard& shard, object::Store& store,
                            std::shared_ptr<const wal::ObjectWalCounters> slots) {
  return {
      .waits =
          [&shard, slots = std::move(slots)] {
            return slots->un_acked == 0 ? env::Duration{} : shard.now() - slots->settled.load();
          },
      .answers = [&shard, &store](env::Duration within) { return answers(shard, store, within); }};
}

}  // namespace paceline::server
