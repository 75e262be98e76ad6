#include "server/log_place.h"

#include "env/sync.h"

namespace paceline::server {
namespace {

// Nobody ever writes it: that it is not there is an answer.
constexpr std::string_view kNoObject = "is-anybody-there";

struct Question {
  explicit Question(env::Shard& shard) : answered(shard) {}
  env::Event answered;
  bool heard = false;
};

// Every answer shows that the way is whole, a refusal too: who may not write is told elsewhere.
Task<void> ask(env::Shard& shard, object::Store& store, std::shared_ptr<Question> question) {
  const auto size = co_await store.size(shard, std::string(kNoObject));
  question->heard =
      size || (size.error().code != Code::unavailable && size.error().code != Code::timed_out);
  question->answered.notify_all();
}

Task<bool> answers(env::Shard& shard, object::Store& store, env::Duration within) {
  auto question = std::make_shared<Question>(shard);
  shard.spawn(ask(shard, store, question));
  (void)co_await question->answered.wait_until(shard.now() + within);
  co_return question->heard;
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
