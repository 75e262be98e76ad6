#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/shard.h"
#include "evidence/event.h"
#include "evidence/ledger.h"
#include "evidence/run.h"

// The load of a drill: real clients (librdkafka) in an open loop, and what they saw.

namespace paceline::probe {

// Who is told. All on the shard of the load; neither may wait. The event has neither run, nor
// number, nor clock error: whoever keeps the timeline gives them.
struct Witness {
  std::function<void(evidence::Event)> event;
  std::function<void(const evidence::LedgerRow&)> row;
};

struct Options {
  // What somebody may do, or may not; both are tried all the time.
  struct Right {
    std::string name;
    std::string operation;                           // write, read
    std::string topic;                               // its partition 0
    bool allowed = true;                             // what is due
    std::map<std::string, std::string> client = {};  // librdkafka's settings of who tries
  };
  std::string bootstrap;
  std::string run_id;
  uint64_t seed = 0;
  std::string zone;                             // client.rack of the consumers; empty: none
  std::map<std::string, std::string> settings;  // librdkafka's own, for every client
  std::vector<evidence::Run::Topic> topics;     // which exist already
  env::Duration interval = std::chrono::milliseconds(10);  // of each producer, between records
  unsigned producers = 4;      // a partition group each; the probe topics' partitions are dealt out
  unsigned group_members = 2;  // consumers by group; as many by assignment
  unsigned accounts = 64;      // of the transfers
  bool transactions = false;   // transfers in transactions, where the target has them
  unsigned bystanders = 2;     // own topics' producers, to see what others feel
  size_t value_bytes = 256;
  std::vector<Right> rights;
  std::vector<std::vector<std::string>> external;  // argv of clients outside: README.md
};

// As of now, for the terminal and the guards.
struct Glance {
  uint64_t sent = 0, acked = 0, failed = 0, unanswered = 0;
  double errors_share_10s = 0;      // of what was answered in the last ten seconds
  env::Duration longest_wait = {};  // of a record that is not answered yet
  int64_t lag = 0;                  // records that the group has not read
  env::Duration staleness = {};     // of the transfers' reader
};

class Load {
 public:
  // Connects, begins to send, and waits some seconds until all clients are at work. unavailable: no
  // broker answers, with librdkafka's reason.
  static Task<Result<std::unique_ptr<Load>>> start(env::Shard& shard, Options options,
                                                   Witness witness);
  virtual ~Load() = default;  // ends all clients at once

  // Those that there are or were; an index never changes.
  virtual const std::vector<evidence::Run::Client>& clients() const = 0;
  virtual Glance glance() const = 0;

  // Bystanders with the probes at rest, and beside them: `overhead.measured`.
  virtual Task<void> measure_overhead(env::Duration each) = 0;
  // N4: all clients go at once and come back; `refresh.done`.
  virtual Task<void> storm() = 0;
  // Sends no more, and waits until all is answered and read, or the deadline. Clients end.
  virtual Task<void> finish(env::Instant deadline) = 0;
  // Reads all topics of the load but those that are `gone`, by name, from their start to their end.
  // An error: not to the end.
  virtual Task<Result<void>> read_back(std::set<std::string> gone, env::Instant deadline) = 0;
};

// "2.0.2", as linked.
std::string librdkafka_version();
// unsupported: what is linked is older than what the load relies on. `number` as
// rd_kafka_version() tells it; without: as linked.
Result<void> check_librdkafka();
Result<void> check_librdkafka(int number);

}  // namespace paceline::probe
