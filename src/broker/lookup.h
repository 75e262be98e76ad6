#pragma once

#include "broker/errors.h"
#include "broker/node.h"
#include "broker/request.h"

namespace paceline::broker {

// Why a partition cannot be used here, by what the image says of it.
inline KafkaError why_not_here(const Node& node, const cluster::TopicImage* topic, int32_t index) {
  if (!topic || index < 0 || static_cast<size_t>(index) >= topic->partitions.size())
    return KafkaError::unknown_topic_or_partition;
  if (topic->partitions[static_cast<size_t>(index)].leader != node.settings().broker)
    return KafkaError::not_leader_or_follower;
  return KafkaError::none;
}

// Runs `step(hosted, item)` for each item on the shard where its partition lives, shard after
// shard, the items of one shard in order. `home_of(item)` names the shard; items are changed in
// place: nobody else looks at them until this returns. A null `hosted` means that the partition is
// still opening, or offline.
template <class Item, class Step>
Task<void> on_home_shards(Request& request, std::vector<Item>& items, Step step) {
  auto run = [](Node* node, ShardHost* host, std::vector<Item>* all, Step one) -> Task<void> {
    for (Item& item : *all) {
      if (item.error != KafkaError::none || &node->home_of(item.topic_id, item.index) != host)
        continue;
      Hosted* hosted = host->find(item.topic_id, item.index);
      if (!hosted) {
        item.error = KafkaError::leader_not_available;
        continue;
      }
      co_await one(*hosted, item);
    }
  };
  Node& node = request.node;
  for (size_t shard = 0; shard < node.shard_count(); ++shard) {
    ShardHost& host = node.host(shard);
    const bool wanted = std::any_of(items.begin(), items.end(), [&](const Item& item) {
      return item.error == KafkaError::none && &node.home_of(item.topic_id, item.index) == &host;
    });
    if (!wanted) continue;
    co_await env::call_on(*host.shard, request.shard, [run, &node, &host, &items, step] {
      return run(&node, &host, &items, step);
    });
  }
}

}  // namespace paceline::broker
