#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "broker/api.h"
#include "broker/assignment.h"
#include "broker/node.h"
#include "broker/peer_format.h"
#include "protocol/gen/alter_partition_reassignments.h"
#include "protocol/gen/drain_broker.h"
#include "protocol/gen/elect_leaders.h"
#include "protocol/gen/list_partition_reassignments.h"

// Who leads: elections, and reassignments, which here are orders of preference. Any broker may be
// asked; the leader of each partition does what is wanted.

namespace paceline::broker {
namespace {

struct Wish {
  std::string topic;
  int32_t index = 0;
  StreamId stream;
  cluster::PartitionImage led;
  std::vector<BrokerId> preferred;  // to be written down; empty: nothing is
  std::optional<BrokerId> to;       // the leader wanted; nothing: it stays
  Outcome outcome;
};

void refuse(Wish& wish, KafkaError error, std::string message) {
  wish.outcome = {error, std::move(message)};
}

// Finds the partition; false: the wish is refused.
bool find(const cluster::Image& image, Wish& wish) {
  const cluster::TopicImage* topic = image.topic(wish.topic);
  if (!topic || wish.index < 0 || static_cast<size_t>(wish.index) >= topic->partitions.size()) {
    refuse(wish, KafkaError::unknown_topic_or_partition, "there is no such partition");
    return false;
  }
  wish.stream = {topic->id, static_cast<uint32_t>(wish.index)};
  wish.led = topic->partitions[static_cast<size_t>(wish.index)];
  return true;
}

void take_outcomes(const std::vector<Wish*>& wishes, Result<std::vector<Outcome>> told) {
  for (size_t i = 0; i < wishes.size(); ++i) {
    if (told && i < told->size())
      wishes[i]->outcome = std::move((*told)[i]);
    else
      refuse(*wishes[i], KafkaError::request_timed_out,
             told ? "the leader did not answer for it" : told.error().message);
  }
}

Task<void> ask_leader(Node* node, env::Shard* home, BrokerId leader, PeerRequest request,
                      const std::vector<Wish*>* wishes, env::Gate::Pass) {
  take_outcomes(*wishes, co_await node->ask(*home, leader, std::move(request)));
}

// First what is to be written down, then moves, each by its leader and leaders side by side.
Task<void> fulfil(Request& request, std::vector<Wish>& wishes) {
  Node& node = request.node;
  std::map<BrokerId, std::vector<Wish*>> to_write;
  for (Wish& wish : wishes)
    if (wish.outcome.error == KafkaError::none && !wish.preferred.empty())
      to_write[wish.led.leader].push_back(&wish);
  env::Gate running(request.shard);
  for (auto& [leader, some] : to_write) {
    PreferRequest prefer;
    for (const Wish* wish : some) prefer.preferences.push_back({wish->stream, wish->preferred});
    request.shard.spawn(ask_leader(&node, &request.shard, leader, PeerRequest(std::move(prefer)),
                                   &some, running.enter()));
  }
  co_await running.wait_empty();
  std::map<std::pair<BrokerId, BrokerId>, std::vector<Wish*>> to_move;
  for (Wish& wish : wishes)
    if (wish.outcome.error == KafkaError::none && wish.to && *wish.to != wish.led.leader)
      to_move[{wish.led.leader, *wish.to}].push_back(&wish);
  for (auto& [way, some] : to_move) {
    MoveRequest move{way.second, {}};
    for (const Wish* wish : some) move.streams.push_back(wish->stream);
    request.shard.spawn(ask_leader(&node, &request.shard, way.first, PeerRequest(std::move(move)),
                                   &some, running.enter()));
  }
  co_await running.wait_empty();
}

// Who is answered and asks here for an election next means what was written down just now: it is
// waited for, as long as an image takes that hardly lags.
Task<void> wait_written(Request& request, const std::vector<Wish>& wishes) {
  const env::Instant until = request.shard.now() + std::chrono::seconds(1);
  auto is_known = [&request](const Wish& wish) {
    if (wish.outcome.error != KafkaError::none || wish.preferred.empty()) return true;
    const auto image = request.node.image();
    const cluster::TopicImage* topic = image->topic(wish.stream.owner);
    return !topic || topic->partitions[wish.stream.index].preferred == wish.preferred;
  };
  while (!std::ranges::all_of(wishes, is_known) && request.shard.now() < until)
    co_await env::sleep_for(request.shard, std::chrono::milliseconds(1));
}

void complain(Request& request, const std::vector<Wish>& wishes) {
  for (const Wish& wish : wishes) request.complain(wish.outcome.error, wish.outcome.message);
}

std::optional<std::string> words(const Outcome& outcome) {
  if (outcome.message.empty()) return std::nullopt;
  return outcome.message;
}

// The preferred leader is the first of the list that lives; who is not there yet is not waited for.
void choose_preferred(const cluster::Image& image, Wish& wish) {
  if (wish.led.preferred.empty() || wish.led.preferred.front() == wish.led.leader)
    return refuse(wish, KafkaError::election_not_needed, "the preferred leader leads already");
  if (!is_registered(image, wish.led.preferred.front()))
    return refuse(wish, KafkaError::preferred_leader_not_available,
                  fmt::format("broker {} is not registered", wish.led.preferred.front().value));
  if (wish.led.leader.value < 0)
    return refuse(wish, KafkaError::leader_not_available, "it is offline");
  wish.to = wish.led.preferred.front();
}

// Kafka's list of replicas is our order of preference. A leader outside of it gives way.
void plan_reassignment(const cluster::Image& image, const std::vector<int32_t>& replicas,
                       Wish& wish) {
  auto brokers = named_brokers(image, replicas);
  if (!brokers)
    return refuse(wish, KafkaError::invalid_replica_assignment, brokers.error().message);
  wish.preferred = std::move(*brokers);
  if (wish.led.leader.value < 0)
    return refuse(wish, KafkaError::leader_not_available, "it is offline");
  if (std::ranges::find(wish.preferred, wish.led.leader) == wish.preferred.end())
    wish.to = wish.preferred.front();
}

}  // namespace

Task<Reply> handle_elect_leaders(Request& request) {
  PACELINE_DECODE(ElectLeadersRequest, message);
  const auto image = request.node.image();
  std::vector<Wish> wishes;
  auto add = [&](std::string topic, int32_t index) {
    Wish& wish = wishes.emplace_back();
    wish.topic = std::move(topic);
    wish.index = index;
    if (!find(*image, wish)) return;
    if (message.election_type == 0) {
      choose_preferred(*image, wish);
    } else {
      // There is no other copy to be elected: who can serve it, does.
      refuse(wish,
             wish.led.leader.value >= 0 ? KafkaError::election_not_needed
                                        : KafkaError::eligible_leaders_not_available,
             "leaders are always clean");
    }
  };
  protocol::ElectLeadersResponse response;
  if (message.election_type != 0 && message.election_type != 1) {
    response.error_code = wire(KafkaError::invalid_request);
    co_return reply_with(request, response);
  }
  if (message.topic_partitions) {
    for (const auto& topic : *message.topic_partitions)
      for (int32_t index : topic.partitions) add(std::string(topic.topic), index);
  } else {
    for (const auto& [name, topic] : image->topics)
      for (size_t i = 0; i < topic->partitions.size(); ++i) add(name, static_cast<int32_t>(i));
    // Asked about all, one is told of those that an election concerns.
    std::erase_if(wishes, [](const Wish& wish) {
      return wish.outcome.error == KafkaError::election_not_needed;
    });
  }
  co_await fulfil(request, wishes);
  for (const Wish& wish : wishes) {
    auto& results = response.replica_election_results;
    if (results.empty() || results.back().topic != wish.topic)
      results.emplace_back().topic = wish.topic;
    auto& one = results.back().partition_result.emplace_back();
    one.partition_id = wish.index;
    one.error_code = wire(wish.outcome.error);
    one.error_message = words(wish.outcome);
  }
  complain(request, wishes);
  co_return reply_with(request, response);
}

Task<Reply> handle_alter_partition_reassignments(Request& request) {
  PACELINE_DECODE(AlterPartitionReassignmentsRequest, message);
  const auto image = request.node.image();
  std::vector<Wish> wishes;
  for (const auto& topic : message.topics) {
    for (const auto& partition : topic.partitions) {
      Wish& wish = wishes.emplace_back();
      wish.topic = topic.name;
      wish.index = partition.partition_index;
      if (!find(*image, wish)) continue;
      // What is under way is over before anybody could take it back.
      if (!partition.replicas)
        refuse(wish, KafkaError::no_reassignment_in_progress, "nothing is under way");
      else
        plan_reassignment(*image, *partition.replicas, wish);
    }
  }
  co_await fulfil(request, wishes);
  co_await wait_written(request, wishes);
  protocol::AlterPartitionReassignmentsResponse response;
  response.error_message.reset();
  response.allow_replication_factor_change = message.allow_replication_factor_change;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.responses.emplace_back();
    answer.name = std::string(topic.name);
    for ([[maybe_unused]] const auto& partition : topic.partitions) {
      const Wish& wish = wishes[at++];
      auto& one = answer.partitions.emplace_back();
      one.partition_index = wish.index;
      one.error_code = wire(wish.outcome.error);
      one.error_message = words(wish.outcome);
    }
  }
  complain(request, wishes);
  co_return reply_with(request, response);
}

// An answer to AlterPartitionReassignments comes when all is done: nothing is ever under way.
Task<Reply> handle_list_partition_reassignments(Request& request) {
  PACELINE_DECODE(ListPartitionReassignmentsRequest, message);
  protocol::ListPartitionReassignmentsResponse response;
  response.error_message.reset();
  co_return reply_with(request, response);
}

// Ours alone: no API of Kafka's empties a broker and keeps the preferences.
Task<Reply> handle_drain_broker(Request& request) {
  PACELINE_DECODE(DrainBrokerRequest, message);
  protocol::DrainBrokerResponse response;
  response.error_message.reset();
  const auto image = request.node.image();
  Outcome outcome;
  if (!is_registered(*image, BrokerId(message.broker_id))) {
    outcome = {KafkaError::broker_not_available,
               fmt::format("broker {} is not registered", message.broker_id)};
  } else {
    auto told =
        co_await request.node.ask(request.shard, BrokerId(message.broker_id), DrainRequest{});
    if (told && told->size() == 1)
      outcome = std::move(told->front());
    else
      outcome = {KafkaError::request_timed_out, told ? "no answer" : told.error().message};
  }
  response.error_code = wire(outcome.error);
  response.error_message = words(outcome);
  request.complain(outcome.error, outcome.message);
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
