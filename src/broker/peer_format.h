#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "broker/load.h"
#include "cluster/cluster.h"
#include "partition/partition.h"

// What brokers ask each other about partitions, in bytes: docs/format/peer_calls.md. Both sides are
// brokers of one cluster, maybe of two versions: a kind or a version that is not known is refused,
// and nothing was done. Pure.

namespace paceline::broker {

inline constexpr size_t kMovesPerCall = 64;

// One batch of a client of another broker.
struct ForwardedAppend {
  StreamId stream;
  Epoch epoch;  // of the term that is asked; another one is refused
  uint32_t within_ms = 0;
  int16_t produce_version = 0;
  // The first batch of this producer and epoch that was refused where its client is; -1: none.
  int32_t awaited = -1;
  Slice records;
};
struct ForwardedRead {
  StreamId stream;
  Epoch epoch;
  Offset from;
  Epoch expected_epoch{-1};  // the client's
  uint32_t bytes_max = 0;
};
struct ForwardedFetch {
  uint32_t bytes_max = 0;
  bool at_least_one = true;
  bool read_committed = false;
  std::vector<ForwardedRead> reads;
};
// Answered when the partition's end is another one, or its start, or it moves; or when the time is
// up.
struct ForwardedWatch {
  StreamId stream;
  Epoch epoch;
  uint32_t within_ms = 0;
  Offset start;
  Offset end;
};
// To the leader: give these partitions to that broker.
struct MoveRequest {
  BrokerId to;
  std::vector<StreamId> streams;
};
// From the leader to the next one.
struct Adopt {
  struct One {
    cluster::Moving move;
    Offset end;
    Slice passport;
  };
  Lane source;
  uint32_t within_ms = 0;
  std::vector<One> partitions;
};
// To the leader: write down who is preferred.
struct PreferRequest {
  std::vector<cluster::Preference> preferences;
};
// To a broker: give all that you lead away.
struct DrainRequest {};
// To a broker: what do you serve?
struct LoadRequest {};
// To the one that balances.
struct BalanceRequest {
  bool dry_run = true;  // only tell what would be done
};

// To the leader: where does what is uploaded lie from there on?
struct ExcerptRequest {
  StreamId stream;
  Epoch epoch;
  Offset from;
};

// A client's request for a group whose coordinator is there, as it came but for its header.
struct ForwardedGroup {
  StreamId stream;  // of the coordinator
  Epoch epoch;
  int16_t api_key = 0;
  int16_t version = 0;
  Slice body;
};

using PeerRequest = std::variant<ForwardedAppend, ForwardedFetch, ForwardedWatch, MoveRequest,
                                 Adopt, PreferRequest, DrainRequest, LoadRequest, BalanceRequest,
                                 ExcerptRequest, ForwardedGroup, stream::LogQuestion>;
Slice encode(const PeerRequest& request);
// Records and passports are slices of `body`. unsupported: of another version of this program.
Result<PeerRequest> decode_request(const Slice& body);

// Nothing was done there; who leads the partition, if that is known there.
struct Elsewhere {
  Lane lane{BrokerId(-1), Incarnation()};
  Epoch epoch{-1};
};
using AppendAnswer = std::variant<partition::Appended, partition::AppendFailure, Elsewhere>;
Slice encode(const AppendAnswer& answer);
Result<AppendAnswer> decode_append_answer(const Slice& body);

using ReadAnswer = std::variant<partition::Fetched, record::KafkaError, Elsewhere>;
// The records are copied once.
Slice encode(const std::vector<ReadAnswer>& answers);
Result<std::vector<ReadAnswer>> decode_fetch_answer(const Slice& body);

struct Ends {
  Offset start;
  Offset end;
};
using WatchAnswer = std::variant<Ends, Elsewhere>;
Slice encode(const WatchAnswer& answer);
Result<WatchAnswer> decode_watch_answer(const Slice& body);

// An excerpt, as stream::Stream::excerpt() says it; or the frame that answers a request for a
// group, with the correlation id 0.
using BytesAnswer = std::variant<Slice, Elsewhere>;
Slice encode(const BytesAnswer& answer);
Result<BytesAnswer> decode_bytes_answer(const Slice& body);

// How a broker is, as far as it matters to who balances. Numbers never change.
enum class Condition : uint8_t {
  ready = 0,
  taking_over = 1,  // not all that came to it from dead brokers is open
  drained = 2,      // on demand: it is to lead nothing, until it is given something
  going = 3,        // it gives away what it leads right now
};
struct LoadAnswer {
  Condition condition = Condition::ready;
  std::vector<StreamLoad> loads;  // of what it leads, by stream; the idle ones are left out
};
Slice encode(const LoadAnswer& answer);
Result<LoadAnswer> decode_load_answer(const Slice& body);

struct BalanceAnswer {
  struct Share {
    BrokerId broker;
    uint32_t leaders = 0;
    uint64_t load = 0;       // bytes a second
    uint32_t share_ppm = 0;  // of the whole, in millionths
    uint32_t due_ppm = 0;
    bool drained = false;
  };
  struct Move {
    StreamId stream;
    BrokerId from;
    BrokerId to;
    std::string reason;
  };
  record::KafkaError error = record::KafkaError::none;
  std::string message;
  BrokerId balancer{-1};
  std::vector<Share> shares;
  std::vector<Move> moves;
};
Slice encode(const BalanceAnswer& answer);
Result<BalanceAnswer> decode_balance_answer(const Slice& body);

// Of the other requests: one outcome a partition, in order; of a drain, one.
struct Outcome {
  record::KafkaError error = record::KafkaError::none;
  std::string message;
};
Slice encode(const std::vector<Outcome>& outcomes);
Result<std::vector<Outcome>> decode_outcomes(const Slice& body);

}  // namespace paceline::broker
