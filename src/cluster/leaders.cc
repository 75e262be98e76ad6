#include "cluster/cluster.h"
#include "cluster/terms.h"

namespace paceline::cluster {

Task<Result<std::map<StreamId, BrokerId>>> read_leaders(env::Shard& shard, meta::Store& store) {
  std::map<Lane, meta::LaneRecord> lanes;
  CO_TRY(const auto all_lanes, co_await meta::range_prefix(store, shard, meta::lanes_prefix()));
  for (const meta::Entry& entry : all_lanes.entries) {
    const auto key = meta::parse_lane_key(entry.key);
    if (!key || key->kind != meta::LaneKey::Kind::lane) continue;
    CO_TRY(lanes[key->lane], meta::decode<meta::LaneRecord>(entry.value));
  }
  const LaneLookup lookup = [&](Lane lane) {
    const auto found = lanes.find(lane);
    return found == lanes.end() ? nullptr : &found->second;
  };
  std::map<StreamId, BrokerId> leaders;
  CO_TRY(const auto topics, co_await meta::range_prefix(store, shard, meta::topics_prefix()));
  for (const meta::Entry& topic_entry : topics.entries) {
    CO_TRY(const auto topic, meta::decode<meta::TopicRecord>(topic_entry.value));
    CO_TRY(const auto pages,
           co_await meta::range_prefix(store, shard, meta::pages_prefix(topic.topic_id)));
    for (const meta::Entry& entry : pages.entries) {
      CO_TRY(const auto page, meta::decode<meta::PageRecord>(entry.value));
      for (const meta::PartitionRecord& partition : page.partitions) {
        const StreamId stream{topic.topic_id, partition.index};
        const auto live = live_term(partition.term, partition.preferred, stream, lookup);
        if (live) leaders.emplace(stream, live->lane.broker);
      }
    }
  }
  co_return leaders;
}

}  // namespace paceline::cluster
