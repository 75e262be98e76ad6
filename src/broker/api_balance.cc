#include "broker/api.h"
#include "broker/node.h"
#include "protocol/gen/balance_cluster.h"

namespace paceline::broker {

// Ours alone. Any broker may be asked; the one that balances answers.
Task<Reply> handle_balance_cluster(Request& request) {
  PACELINE_DECODE(BalanceClusterRequest, message);
  BalanceAnswer told = co_await request.node.balance(request.shard, message.dry_run);
  protocol::BalanceClusterResponse response;
  response.error_code = wire(told.error);
  response.error_message.reset();
  if (!told.message.empty()) response.error_message = told.message;
  response.balancer_id = told.balancer.value;
  for (const BalanceAnswer::Share& share : told.shares) {
    auto& one = response.brokers.emplace_back();
    one.broker_id = share.broker.value;
    one.leaders = static_cast<int32_t>(share.leaders);
    one.load_bytes = static_cast<int64_t>(share.load);
    one.share_ppm = static_cast<int32_t>(share.share_ppm);
    one.due_ppm = static_cast<int32_t>(share.due_ppm);
    one.drained = share.drained;
  }
  const auto image = request.node.image();
  for (BalanceAnswer::Move& move : told.moves) {
    const cluster::TopicImage* topic = image->topic(move.stream.owner);
    auto& one = response.moves.emplace_back();
    one.topic = topic ? topic->name : move.stream.owner.to_string();
    one.partition_index = static_cast<int32_t>(move.stream.index);
    one.from_broker_id = move.from.value;
    one.to_broker_id = move.to.value;
    one.reason = std::move(move.reason);
  }
  request.complain(told.error, told.message);
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
