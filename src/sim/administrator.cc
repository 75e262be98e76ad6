#include <algorithm>

#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/elect_leaders.h"
#include "sim/clients.h"
#include "sim/router.h"

namespace paceline::sim {

using namespace std::chrono_literals;

namespace {

struct Wish {
  std::string topic;
  std::vector<int32_t> partitions;
  std::vector<int32_t> brokers;  // in the order of preference
};

Wish draw_wish(Clients& clients) {
  Wish wish;
  const bool of_groups = clients.random.chance(0.2);
  wish.topic = of_groups ? "__consumer_offsets" : clients.topic;
  const auto count = static_cast<int32_t>(of_groups ? 3 : clients.partition_count);
  for (int32_t index = 0; index < count; ++index)
    if (clients.random.chance(0.5)) wish.partitions.push_back(index);
  for (size_t i = 0; i < clients.brokers.size(); ++i)
    wish.brokers.push_back(static_cast<int32_t>(i + 1));
  std::swap(wish.brokers.front(), wish.brokers[clients.random.below(wish.brokers.size())]);
  return wish;
}

// What comes of it is the brokers' business: a target may be down, or be killed for it.
Task<void> ask_for(Clients& clients, Router& router, Wish wish) {
  Link* link = co_await router.any();
  if (!link) co_return;
  protocol::AlterPartitionReassignmentsRequest preference;
  preference.timeout_ms = 5000;
  auto& topic = preference.topics.emplace_back();
  topic.name = wish.topic;
  for (const int32_t index : wish.partitions) {
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = index;
    partition.replicas = wish.brokers;
  }
  auto preferred =
      co_await link->current()->call<protocol::AlterPartitionReassignmentsResponse>(0, preference);
  if (!preferred) {
    link->drop();
    co_return;
  }
  if (clients.before_move)
    clients.before_move(clients.brokers[static_cast<size_t>(wish.brokers.front() - 1)]);
  protocol::ElectLeadersRequest election;
  election.timeout_ms = 5000;
  auto& elected = election.topic_partitions->emplace_back();
  elected.topic = wish.topic;
  elected.partitions = wish.partitions;
  auto done = co_await link->current()->call<protocol::ElectLeadersResponse>(2, election);
  if (!done) link->drop();
}

}  // namespace

Task<void> run_administrator(Clients& clients) {
  Router router(clients, 8s);
  while (!clients.finishing) {
    co_await env::sleep_for(clients.shard, clients.between(100ms, 3s));
    Wish wish = draw_wish(clients);
    if (clients.topic_made && !wish.partitions.empty())
      co_await ask_for(clients, router, std::move(wish));
  }
}

}  // namespace paceline::sim
