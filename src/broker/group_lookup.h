#pragma once

#include "broker/errors.h"
#include "broker/node.h"
#include "broker/request.h"

namespace paceline::broker {

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
  if (topic->partitions[static_cast<size_t>(index)].leader != request.node.settings().broker)
    co_return otherwise(KafkaError::not_coordinator);
  ShardHost& host = request.node.home_of(topic->id, index);
  auto run = [](ShardHost* where, Uuid id, int32_t partition,
                Step* one) -> Task<std::optional<Answer>> {
    Hosted* hosted = where->find(id, partition);
    if (!hosted) co_return std::nullopt;
    co_return co_await (*one)(*hosted->coordinator);
  };
  std::optional<Answer> answer = co_await env::call_on(
      *host.shard, request.shard,
      [run, &host, id = topic->id, index, &step] { return run(&host, id, index, &step); });
  if (!answer) co_return otherwise(KafkaError::coordinator_load_in_progress);
  co_return std::move(*answer);
}

inline std::optional<std::string> own(const std::optional<std::string_view>& text) {
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

}  // namespace paceline::broker
