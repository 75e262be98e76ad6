#include "app/commands.h"
#include "app/print.h"
#include "client/client.h"
#include "protocol/gen/balance_cluster.h"
#include "record/kafka_error.h"

namespace paceline::app {
namespace {

using client::Client;

std::string percent(int32_t ppm) {
  return fmt::format("{:.1f}", ppm / 1e4);
}

}  // namespace

Task<int> cluster_balance(env::Shard& shard, Target target, bool dry_run) {
  auto client = co_await Client::connect(shard, target.bootstrap);
  if (!client) co_return complain(kFailed, client.error().message);
  protocol::BalanceClusterRequest request;
  request.dry_run = dry_run;
  auto response = co_await (*client)->call<protocol::BalanceClusterResponse>(0, request);
  if (!response) co_return complain(kFailed, response.error().message);
  if (response->error_code != 0) {
    const std::string name(
        record::kafka_error_name(static_cast<record::KafkaError>(response->error_code)));
    co_return complain(kRefused, response->error_message
                                     ? fmt::format("{} ({})", *response->error_message, name)
                                     : name);
  }
  Listing brokers("ClusterBalance", {"broker", "leaders", "load_bytes_per_second", "share_percent",
                                     "due_percent", "drained"});
  for (const auto& one : response->brokers)
    brokers.row({Cell::of(int64_t{one.broker_id}), Cell::of(int64_t{one.leaders}),
                 Cell::of(one.load_bytes), Cell::of(percent(one.share_ppm)),
                 Cell::of(percent(one.due_ppm)), Cell::of(one.drained)});
  Listing moves("Moves", {"topic", "partition", "from", "to", "reason"});
  for (const auto& one : response->moves)
    moves.row({Cell::of(one.topic), Cell::of(int64_t{one.partition_index}),
               Cell::of(int64_t{one.from_broker_id}), Cell::of(int64_t{one.to_broker_id}),
               Cell::of(one.reason)});
  brokers.attach("moves", std::move(moves));
  brokers.print(target.json);
  if (target.json) co_return kDone;
  if (response->moves.empty())
    std::printf("\nnothing is to move\n");
  else
    std::printf("\n%zu %s\n", response->moves.size(),
                dry_run ? "would move; nothing was begun" : "are on their way");
  co_return kDone;
}

}  // namespace paceline::app
