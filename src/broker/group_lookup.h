#pragma once

#include "broker/errors.h"
#include "broker/node.h"
#include "broker/request.h"

namespace paceline::broker {

inline KafkaError error_of(KafkaError error) {
  return error;
}
inline KafkaError error_of(const std::vector<KafkaError>& errors) {
  return errors.empty() ? KafkaError::none : errors.front();
}
template <class Rest>
KafkaError error_of(const std::pair<KafkaError, Rest>& answer) {
  return answer.first;
}
template <class Answer>
  requires requires(const Answer& answer) { answer.error; }
KafkaError error_of(const Answer& answer) {
  return answer.error;
}

// Runs `step(coordinator)` on the shard where the group's coordinator lives. `answer` is what it
// returns; without a coordinator here it is `otherwise(error)`. A coordinator whose partition is
// still opening answers COORDINATOR_LOAD_IN_PROGRESS: clients try again on exactly that.
template <class Step, class Otherwise>
auto with_coordinator(Request& request, std::string group, Step step, Otherwise otherwise)
    -> Task<std::invoke_result_t<Otherwise&, KafkaError>> {
  using Answer = std::invoke_result_t<Otherwise&, KafkaError>;
  auto topic = co_await request.node.offsets_topic(request.shard);
  if (!topic) co_return otherwise(KafkaError::coordinator_not_available);
  const int32_t index = request.node.group_partition(group);
  const bool led_here =
      topic->partitions[static_cast<size_t>(index)].leader == request.node.settings().broker;
  ShardHost& host = request.node.home_of(topic->id, index);
  // The image may lag behind a move: where the partition lives decides.
  struct Found {
    std::optional<Relay::Target> moved;
    std::optional<Answer> answer;
  };
  auto run = [](ShardHost* where, Lane own, StreamId id, Step* one) -> Task<Found> {
    const auto elsewhere = [&]() -> std::optional<Relay::Target> {
      const Relay* relay = where->find_relay(id);
      if (!relay || relay->target().lane == own) return std::nullopt;
      return relay->target();
    };
    Found found{elsewhere(), std::nullopt};
    Hosted* hosted = where->find(id);
    if (!hosted || found.moved) co_return found;
    found.answer.emplace(co_await (*one)(*hosted->coordinator));
    // It may have left meanwhile, and did nothing then.
    if (error_of(*found.answer) == KafkaError::not_coordinator) found.moved = elsewhere();
    co_return found;
  };
  const StreamId id{topic->id, static_cast<uint32_t>(index)};
  auto running = [run, &host, &step, own = request.node.cluster().lane(), id] {
    return run(&host, own, id, &step);
  };
  Found found = co_await env::call_on(*host.shard, request.shard, running);
  ++request.groups;
  if (found.moved) request.moved = {id, found.moved->lane, found.moved->epoch};
  if (found.answer) co_return std::move(*found.answer);
  co_return otherwise(led_here && !found.moved ? KafkaError::coordinator_load_in_progress
                                               : KafkaError::not_coordinator);
}

inline std::optional<std::string> own(const std::optional<std::string_view>& text) {
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

}  // namespace paceline::broker
