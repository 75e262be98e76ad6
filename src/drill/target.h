#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drill/cluster_view.h"
#include "drill/fault.h"
#include "drill/kafka.h"
#include "drill/plan.h"
#include "drill/watchdog.h"
#include "evidence/event.h"
#include "evidence/run.h"

namespace paceline::drill {

// A step with its words made into somebody.
struct Hit {
  std::string step;
  Fault fault = Fault::kill;
  std::vector<int32_t> brokers;  // which it concerns: one, those of a zone, none
  std::string zone, direction;
  std::map<std::string, std::string> settings;

  int32_t broker() const { return brokers.empty() ? -1 : brokers.front(); }
};

// Nothing: it cannot be observed.
struct StorageFigures {
  std::optional<int64_t> unuploaded_bytes, requests_put, requests_get, requests_list, bytes_put,
      bytes_got, orphans, replicas_out_of_sync, reassigning, log_bytes, memory_bytes;
};

struct ClockBound {
  std::string of;  // a source of the timeline
  int64_t offset_ns = 0, err_ns = 0;
  int rounds = 0;
};

// With one broker less, and its work on the others.
struct Headroom {
  std::optional<double> cpu_share, memory_share;  // of what there is for brokers
  std::string why_not;                            // where they cannot be seen
};

// How a fault was observed, and what is known of it (`added_ms` of a slow store).
struct Effect {
  std::string how;
  std::map<std::string, evidence::Figure> figures = {};
};

// The cluster under the drill, whatever it is. Of one shard.
class Target {
 public:
  virtual ~Target() = default;

  // `target` of run.json, but for brokers and sabotage.
  virtual evidence::Run::Target identity() const = 0;
  // Whether topics of somebody's may be there that a drill has to leave alone unless it is told.
  virtual bool production() const = 0;
  // Brokers own no data, so that whoever lives can lead.
  virtual bool any_broker_leads() const = 0;
  // What speaks against these steps in the eyes of whoever owns the cluster; looks, and changes
  // nothing.
  virtual Task<std::vector<std::string>> objections(std::vector<Hit> hits) = 0;
  // unsupported: it cannot do this, with the reason.
  virtual Result<void> can(Fault fault) const = 0;
  virtual std::string domain(Fault fault) const = 0;  // broker, zone, cluster, client, none

  virtual Task<Result<ClusterView>> look() = 0;
  virtual Task<Result<int32_t>> coordinator_of(std::string group) = 0;

  // What has to be registered with a watchdog before inject().
  virtual Task<Result<std::vector<HealAction>>> ways_to_heal(Hit hit) = 0;
  virtual Task<Result<void>> inject(Hit hit) = 0;
  // unavailable: not yet, with what was seen instead.
  virtual Task<Result<Effect>> effective(Hit hit) = 0;
  // Says how. Also after an inject() that has failed, and more than once.
  virtual Task<Result<std::string>> heal(Hit hit) = 0;
  // All brokers that were there before are there again and answer; unavailable: who is not.
  virtual Task<Result<void>> whole(std::vector<int32_t> brokers) = 0;

  // Planned moves and topics, by Kafka's protocol.
  virtual Task<Result<void>> move(std::vector<Kafka::Named> wanted) = 0;
  virtual Task<Result<void>> elect_preferred(std::vector<Kafka::Named> wanted) = 0;
  virtual Task<Result<std::string>> create_topic(std::string name, int32_t partitions) = 0;
  virtual Task<Result<void>> delete_topic(std::string id) = 0;

  // Begins to use a transactional id, as the load would. unsupported: it takes none, with the
  // reason.
  virtual Task<Result<void>> begin_transactions(std::string transactional_id) = 0;

  virtual Task<StorageFigures> storage() = 0;
  virtual Task<std::vector<ClockBound>> clocks() = 0;
  virtual Task<Headroom> headroom() = 0;
  // Begins to tell what the cluster itself says, already on the drill's clock.
  virtual void follow(std::function<void(evidence::Event)> tell) = 0;
  // Until all that it has said by now is told, or for so long.
  virtual Task<void> catch_up(env::Duration at_most) = 0;
  // What a clean-up of the target's own would touch (N7); nothing: it has none.
  struct Touched {
    std::vector<std::string> topics, brokers;
  };
  virtual Task<Result<std::optional<Touched>>> plan_cleanup() = 0;
  // That one can be done by us, too; does it.
  virtual bool has_cleanup() const = 0;
  virtual Task<Result<void>> clean_up() = 0;
};

}  // namespace paceline::drill
