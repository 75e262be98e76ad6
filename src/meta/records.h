#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

// The typed records kept in the metadata store, their keys and their bytes. Every value starts with
// a format version and ends with a CRC32C of what stands before it. docs/format/metadata.md
// describes the bytes; the numbers never change.

namespace paceline::meta {

// `cluster`: written once, by the first broker.
struct ClusterRecord {
  Uuid cluster_id;
  int64_t created_ms = 0;
};

struct Endpoint {
  std::string listener;
  std::string host;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// The listener under which a broker's record names its port for other brokers. Clients are never
// told of it.
inline constexpr std::string_view kPeerListener = "paceline.peer";

// `brokers/<id>`: who is registered. Its incarnation only grows; the record stays when a broker is
// fenced (registered = false), so that an incarnation is never used twice.
struct BrokerRecord {
  Incarnation incarnation;
  bool registered = true;
  std::vector<Endpoint> endpoints;
  std::string rack;
};

// A lane that takes over from a sealed one, with the inputs of the choice frozen.
struct Successor {
  Lane lane;
  uint32_t capacity = 1;
  std::string zone;
};

// A stream that a lane has taken over by a planned move: what its log has of it at that place
// counts. Another such entry in the log belongs to a move that was given up.
struct Adopted {
  StreamId stream;
  Position after;  // the entry is the last of its stream in a group that ends above this
  Position at;     // and here at the latest
  Epoch epoch;     // of its last batch, and where that ends: what is lost with the entry
  Offset end;
  bool operator==(const Adopted&) const = default;
};

// `lanes/<broker>.<incarnation>` (numbers in fixed-width hexadecimal, so that keys sort): what is
// known of a lane. While it is open only its own broker writes it; sealing it is the fence.
struct LaneRecord {
  bool sealed = false;
  uint8_t choice_version = 1;         // of the pure function that picks a successor
  std::vector<Successor> successors;  // set by the fence
  Position uploaded;                  // everything below it in the WAL is in committed objects
  uint64_t next_object = 1;           // object numbers below it are used
  uint64_t checkpoint = 0;            // the newest object with a checkpoint directory; 0 = none yet
  std::vector<Adopted> adopted = {};  // above `uploaded`: in no directory yet
  uint64_t adopted_count = 0;         // of all times: tells that there were some in between
};

// `lanes/<lane>/objects/<number>`: a committed object of a lane.
struct ObjectRecord {
  uint64_t bytes = 0;
  uint64_t directory_position = 0;
  uint32_t directory_bytes = 0;
  bool checkpoint = false;  // its directory is a full one
  int64_t created_ms = 0;
  uint64_t batch_bytes = 0;  // it was made with; 0 = not told (format 1)
};

// `lanes/<lane>/done/<successor>`: that successor has everything of its share in its own objects.
struct DoneRecord {
  int64_t at_ms = 0;
};

// `deleted/<lane>/<number>`: an object nobody refers to any more, kept for readers in flight.
struct DeletedRecord {
  int64_t at_ms = 0;
};

// One leadership of one partition, as last written down. The lane may be sealed since: then the
// chain of sealed lanes says who leads, one epoch later for each link.
struct TermRecord {
  Epoch epoch;
  Lane lane;
};
struct PartitionRecord {
  uint32_t index = 0;
  TermRecord term;
  std::vector<BrokerId> preferred;  // order of preference; what tools see as the replica list
};

// `pages/<topic id>/<page>`: up to 64 partitions of one topic.
inline constexpr uint32_t kPartitionsPerPage = 64;
struct PageRecord {
  std::vector<PartitionRecord> partitions;
};

// `topics/<name>`: written last when a topic is created, removed first when it is deleted.
struct TopicRecord {
  Uuid topic_id;
  uint32_t partition_count = 0;
  int16_t replication_factor = 1;  // as asked for; reported, never needed
  bool internal = false;
  std::map<std::string, std::string> configs;
};

// `configs/brokers/<id or empty>`: dynamic broker configuration, empty = all brokers.
struct ConfigRecord {
  std::map<std::string, std::string> configs;
};

// `producer-ids`: the first producer id that no block has been given of.
struct ProducerIdsRecord {
  int64_t next = 0;
};

std::string encode(const ClusterRecord&);
std::string encode(const BrokerRecord&);
std::string encode(const LaneRecord&);
std::string encode(const ObjectRecord&);
std::string encode(const DoneRecord&);
std::string encode(const DeletedRecord&);
std::string encode(const PageRecord&);
std::string encode(const TopicRecord&);
std::string encode(const ConfigRecord&);
std::string encode(const ProducerIdsRecord&);

// corrupt: the checksum or the structure does not hold; unsupported: a newer format.
template <class Record>
Result<Record> decode(std::string_view value);
template <>
Result<ClusterRecord> decode(std::string_view value);
template <>
Result<BrokerRecord> decode(std::string_view value);
template <>
Result<LaneRecord> decode(std::string_view value);
template <>
Result<ObjectRecord> decode(std::string_view value);
template <>
Result<DoneRecord> decode(std::string_view value);
template <>
Result<DeletedRecord> decode(std::string_view value);
template <>
Result<PageRecord> decode(std::string_view value);
template <>
Result<TopicRecord> decode(std::string_view value);
template <>
Result<ConfigRecord> decode(std::string_view value);
template <>
Result<ProducerIdsRecord> decode(std::string_view value);

std::string cluster_key();
std::string broker_key(BrokerId id);
std::string brokers_prefix();
std::optional<BrokerId> parse_broker_key(std::string_view key);
std::string lane_key(Lane lane);
std::string lanes_prefix();                          // all keys of all lanes
std::string lanes_prefix(BrokerId id);               // of one broker
std::string object_key(Lane lane, uint64_t number);  // the metadata key
std::string objects_prefix(Lane lane);
std::string done_key(Lane lane, Lane successor);
std::string alive_prefix();
std::string alive_key(Lane lane);  // held by the lane's broker with a lease; empty
std::optional<Lane> parse_alive_key(std::string_view key);
std::string deleted_key(Lane lane, uint64_t number);
std::string deleted_prefix();
std::string page_key(const Uuid& topic_id, uint32_t page);
std::string pages_prefix(const Uuid& topic_id);
std::string topic_key(std::string_view name);
std::string topics_prefix();
std::string broker_config_key(std::optional<BrokerId> id);
std::string producer_ids_key();

// The lane named by a lane, object or done key; nothing if it is not one. `number` and `rest` tell
// what follows.
struct LaneKey {
  Lane lane;
  enum class Kind { lane, object, done } kind;
  uint64_t number = 0;  // of an object
  Lane successor;       // of a done mark
};
std::optional<LaneKey> parse_lane_key(std::string_view key);

}  // namespace paceline::meta
