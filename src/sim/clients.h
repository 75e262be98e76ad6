#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/uuid.h"
#include "env/random.h"
#include "history/history.h"
#include "record/records.h"
#include "sim/wire_client.h"

namespace paceline::sim {

using history::Commit;
using history::CommittedRead;
using history::EpochEnd;
using history::EpochSeen;
using history::History;
using history::Key;
using history::Outcome;
using history::Poll;
using history::Send;
using history::Value;
using history::Violation;

class Link;
class Router;

// What all simulated clients of one run share: where the broker is, one topic, the history.
struct Clients {
  Clients(env::Shard& on, std::string broker, History& to, uint64_t seed, uint32_t partitions)
      : shard(on),
        host(std::move(broker)),
        history(to),
        random(seed),
        partition_count(partitions) {}

  env::Shard& shard;
  std::string host;  // the broker, where there is one; may change: it is started elsewhere
  std::vector<std::string> brokers;  // more than one: those that a client may ask first
  std::function<std::string(const std::string&)> life_of;  // who runs on a host
  // Told the host that leadership is about to move to.
  std::function<void(const std::string&)> before_move;
  bool cluster() const { return brokers.size() > 1; }
  History& history;
  env::Random random;
  const std::string topic = "orders";
  const uint32_t partition_count;
  bool topic_made = false;
  bool finishing = false;      // nothing new is begun; what is under way comes to its end
  uint64_t final_answers = 0;  // of the final polls, so far
  uint32_t busy = 0;           // producers that are not at their end
  uint32_t next_client = 1;
  std::string last_error;  // why somebody waits, if somebody does

  history::Time now() const { return shard.now().since_start; }
  env::Duration between(env::Duration low, env::Duration high) {
    return env::Duration(static_cast<int64_t>(random.between(low.count(), high.count())));
  }
  std::string told_by(const Link& link) const;  // " by ...", or nothing where there is one broker
  void violation(Key key, std::string what) { history.add(Violation{key, std::move(what)}, now()); }
};

// A connection that comes back. Each client has its own.
class Link {
 public:
  // To the one broker there is, wherever it runs; or to `host`, if that is not empty.
  Link(Clients& clients, std::string host, env::Duration patience)
      : clients_(clients), fixed_(std::move(host)), patience_(patience) {}
  // A live connection, however long it takes. REQUIRES: asked again after every failed call.
  Task<WireClient*> get();
  // One attempt.
  Task<bool> reach();
  void drop() { client_.reset(); }
  WireClient* current() { return client_.get(); }  // REQUIRES: got and not dropped since
  // It is to a process that has been replaced and may not know it. What such a one says is true but
  // may be old: an earlier high watermark, never records that are not there.
  bool to_former() const { return !clients_.cluster() && host_ != clients_.host; }
  // It stays open; the next get() makes another one.
  std::unique_ptr<WireClient> release() { return std::move(client_); }
  // The life of the broker at the other end; 0 where nobody has to be told from anybody.
  history::Teller teller() const { return teller_; }

 private:
  Clients& clients_;
  const std::string fixed_;
  const env::Duration patience_;
  std::string host_;  // that client_ is connected to
  history::Teller teller_ = 0;
  std::unique_ptr<WireClient> client_;
};

// Creates the topic unless it is there.
Task<void> create_topic(Clients& clients);

// The text of a value, as a record's: it can be told from every other one and from damage.
std::string value_text(Value value);
// Nothing if it is no such text, whole.
std::optional<Value> parse_value(std::string_view text);

std::string group_name(uint32_t group);

// One fetch, written down. The next offset to ask for; nothing if it brought none, because the
// connection broke (then the link is dropped) or the broker sent an error.
struct FetchPlan {
  uint32_t reader = 0;
  uint32_t group = 0;  // that it reads for, if any
  Key key = 0;
  int64_t from = 0;
  int32_t bytes_max = 1 << 20;
  int32_t wait_ms = 200;
  bool last = false;
};
struct FetchAnswer {
  int64_t next = 0;
  int64_t high_watermark = 0;
  int64_t log_start = 0;
};
Task<std::optional<FetchAnswer>> fetch_once(Clients& clients, Router& router, FetchPlan plan);

// The clients. Each runs until its shard ends; producers also end when finishing and settled.
//
// Retries what it has no answer to, as the idempotent producer of a client library does, with up to
// five batches a partition in flight.
Task<void> run_idempotent_producer(Clients& clients);
// Sends each batch once.
Task<void> run_plain_producer(Clients& clients);
// Follows one key, now and then from an earlier offset again.
Task<void> run_reader(Clients& clients, Key key);
// Asks for metadata, and where epochs end, now and then.
Task<void> run_watcher(Clients& clients);
// A consumer of the group, with rebalances, heartbeats and commits.
Task<void> run_member(Clients& clients, uint32_t group);
// Several brokers: moves leadership of some partitions to one of them, again and again.
Task<void> run_administrator(Clients& clients);
// Reads every key from its start to its end, after all faults have ended.
Task<void> run_final_polls(Clients& clients, bool& done);
// Asks for what the group has committed; part of the final polls.
Task<void> read_committed_offsets(Clients& clients, uint32_t group);

}  // namespace paceline::sim
