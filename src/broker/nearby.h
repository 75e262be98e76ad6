#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "broker/errors.h"
#include "broker/node.h"

// Consumers of a rack read from a broker of it what another one leads (KIP-392): durable, uploaded
// records below what the leader has told of, out of the objects that it has named. What is not
// uploaded is the leader's alone, so whoever comes to the end of it is sent back there.

namespace paceline::broker {

// Who is to serve a consumer of that rack what we lead; nothing: we are. Of several each has a part
// of the partitions.
std::optional<BrokerId> reader_in_rack(const Node& node, const cluster::Image& image,
                                       std::string_view rack, const StreamId& stream);

// What a client takes for: ask the leader. Of a broker that does not lead it, none of them resets
// its offset on it.
inline constexpr KafkaError kAskLeader = KafkaError::offset_out_of_range;

// A read of what `led` says that another broker leads. On `home`, a connection's shard.
Task<std::expected<partition::Fetched, KafkaError>> read_nearby(Node& node, env::Shard& home,
                                                                StreamId stream,
                                                                cluster::PartitionImage led,
                                                                partition::FetchRequest what);

// The leader's side. On the first shard.
Task<BytesAnswer> serve_excerpt(Node& node, env::Shard& home, ExcerptRequest request);

}  // namespace paceline::broker
