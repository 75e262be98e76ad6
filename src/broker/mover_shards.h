#pragma once

#include "broker/mover.h"

namespace paceline::broker {

template <class Item, class Step, class... More>
Task<void> Mover::on_shards(std::vector<Item>& all, Step step, More... more) {
  // In the order of shards, not of addresses: a simulated run is the same each time.
  std::map<unsigned, std::vector<Item*>> by_shard;
  for (Item& item : all) {
    const StreamId id = stream_of(item);
    const ShardHost& home = node_.home_of(id.owner, static_cast<int32_t>(id.index));
    by_shard[home.shard->index()].push_back(&item);
  }
  auto cross = [](Mover* mover, ShardHost* host, std::vector<Item*>* mine, Step what,
                  env::Gate::Pass, More... with) -> Task<void> {
    auto make = [mover, host, mine, what, with...] { return what(mover, host, mine, with...); };
    co_await env::call_on(*host->shard, mover->shard_, make);
  };
  env::Gate running(shard_);
  for (auto& [shard, mine] : by_shard)
    shard_.spawn(cross(this, &node_.host(shard), &mine, step, running.enter(), more...));
  co_await running.wait_empty();
}

}  // namespace paceline::broker
