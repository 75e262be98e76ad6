#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "drill/cluster_view.h"

namespace paceline::drill {

// What the drill asks of a cluster by Kafka's protocol, over a connection a question: whoever is
// asked may be the one that dies. Any broker of the list answers; the next one is asked where one
// does not.
class Kafka {
 public:
  // `bootstrap`: HOST:PORT, with commas between them.
  Kafka(env::Shard& shard, const std::string& bootstrap, client::Security security);

  Task<Result<ClusterView>> look();
  // Does this one broker answer, and how long does that take, from the question to the answer?
  Task<Result<env::Duration>> ping(std::string address);
  Task<Result<int32_t>> coordinator_of(std::string group);
  // Returns its id. `replicas`: -1: as the cluster has it by default.
  Task<Result<std::string>> create_topic(std::string name, int32_t partitions, int16_t replicas);
  // Only the topic that had this id. not_found: it is not there any more.
  Task<Result<void>> delete_topic(std::string id);
  struct Named {
    std::string topic;
    int32_t partition = 0;
    std::vector<int32_t> replicas;  // the wanted leader first
  };
  // Each becomes the preferred leader, and the leader. The first partition that is refused.
  Task<Result<void>> move(std::vector<Named> wanted);
  Task<Result<void>> elect_preferred(std::vector<Named> wanted);
  // Paceline's own: the broker gives away what it leads. unsupported: it knows no such request.
  Task<Result<void>> drain(int32_t broker);
  // As a producer with this transactional id would begin. unsupported: transactions are not served,
  // or not to us.
  Task<Result<void>> begin_transactions(std::string transactional_id);
  Task<Result<size_t>> reassigning();  // partitions whose replicas are being moved
  Task<Result<int64_t>> log_bytes();   // of all brokers' log folders

 private:
  Task<Result<std::unique_ptr<client::Client>>> connect();
  Task<Result<void>> reassign(std::vector<Named> wanted);
  Task<Result<std::pair<int16_t, std::string>>> transaction_coordinator(std::string id);
  Task<Result<int16_t>> init_transactions(std::string address, std::string id);

  env::Shard& shard_;
  const client::Security security_;
  std::vector<std::string> addresses_;  // as told, then as brokers told
  size_t next_ = 0;                     // who answered last is asked first
};

}  // namespace paceline::drill
