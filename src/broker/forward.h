#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "broker/api.h"
#include "broker/errors.h"
#include "broker/node.h"
#include "broker/peer_format.h"

// Requests for partitions that have moved away go on to who leads them now, at most one hop: a
// client that is refused sleeps its back-off, one that is served does not notice. Sequences of
// forwarded batches are judged there alone.

namespace paceline::broker {

// How long a request waits for a partition that is between two leaders.
inline constexpr env::Duration kBetweenLeaders = std::chrono::seconds(2);

struct AppendOutcome {
  std::expected<partition::Appended, partition::AppendFailure> result;
  // It was sent on, and nobody knows what became of it: the connection must end.
  bool unknown = false;
};
// The relay of a partition hears who leads it now, as another broker says; if it has one.
Task<void> tell_relay(Node& node, env::Shard& home, StreamId id, Elsewhere elsewhere);
// What its producer was refused elsewhere or before, from the sequence `first` on (-1: nothing),
// has to come before this batch, if nobody knows the producer.
void await_first(partition::Partition& partition, Bytes batch, int32_t first);
// To the partition here, for a client. On its shard.
Task<std::expected<partition::Appended, partition::AppendFailure>> append_in(
    ShardHost& host, Hosted& hosted, StreamId id, Slice records, int16_t produce_version);
// To the partition here, or to its leader, in the order of the calls for one partition. On the
// partition's shard. `led_here`: as the image says, for an answer if it is nowhere. `topic` stays
// until the end.
Task<AppendOutcome> append_where_led(Node& node, ShardHost& host, StreamId id,
                                     std::string_view topic, Slice records, int16_t produce_version,
                                     env::Instant deadline, bool led_here);

// One read of a fetch, as far as it goes to another broker.
struct RemoteRead {
  Relay::Target leader;
  StreamId stream;
  partition::FetchRequest what;
  // Nothing: try again, the partition moves.
  std::optional<std::expected<partition::Fetched, KafkaError>> answer;
};
// Asks all leaders side by side. Together they answer with `bytes_max`, or one batch more.
Task<void> read_where_led(Node& node, env::Shard& home, std::vector<RemoteRead*> reads,
                          size_t bytes_max, bool at_least_one, bool read_committed);

// Hears of changes of a partition that is led elsewhere. On its shard; a relay is there.
std::unique_ptr<partition::Partition::Subscription> watch_where_led(Node& node, ShardHost& host,
                                                                    StreamId id,
                                                                    std::function<void()> changed);

// Requests for a group that go on to its coordinator. Those that wait for other members do not:
// their clients look for the coordinator themselves.
bool follows_coordinator(int16_t api_key);
// Runs the handler; if the one group that it was about has its coordinator elsewhere since a move,
// the answer is the one from there, or what the handler says if that cannot be had.
Task<Reply> answer_where_coordinated(Handler handler, Request& request);

// The other side. On the first shard.
Task<AppendAnswer> serve_append(Node& node, env::Shard& home, ForwardedAppend append);
Task<std::vector<ReadAnswer>> serve_fetch(Node& node, env::Shard& home, ForwardedFetch fetch);
Task<BytesAnswer> serve_group(Node& node, env::Shard& home, ForwardedGroup group);
Task<WatchAnswer> serve_watch(Node& node, env::Shard& home, ForwardedWatch watch);

}  // namespace paceline::broker
