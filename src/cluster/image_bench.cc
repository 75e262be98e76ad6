#include <benchmark/benchmark.h>

#include "cluster/model.h"

// The image of a cluster of three brokers and one topic, as whoever hears of the death of one of
// them makes it: all its leaders are evaluated anew. It stands in the way of every failover.

namespace paceline::cluster {
namespace {

constexpr Uuid kTopic{{7}};

void put_lane(Model& model, Lane lane, const meta::LaneRecord& record) {
  model.put(Part::lanes, meta::lane_key(lane), meta::encode(record), Revision(1));
}

Model model_of(uint32_t partitions) {
  Model model(BrokerId(1), Uuid{});
  for (int32_t id = 1; id <= 3; ++id) {
    meta::BrokerRecord broker;
    broker.incarnation = Incarnation(1);
    broker.rack = std::string(1, static_cast<char>('a' + id));
    model.put(Part::brokers, meta::broker_key(BrokerId(id)), meta::encode(broker), Revision(1));
    put_lane(model, {BrokerId(id), Incarnation(1)}, {});
  }
  meta::TopicRecord topic;
  topic.topic_id = kTopic;
  topic.partition_count = partitions;
  topic.replication_factor = 3;
  model.put(Part::topics, meta::topic_key("t"), meta::encode(topic), Revision(1));
  for (uint32_t first = 0; first < partitions; first += meta::kPartitionsPerPage) {
    meta::PageRecord page;
    for (uint32_t i = first; i < std::min(partitions, first + meta::kPartitionsPerPage); ++i) {
      const BrokerId leader(1 + static_cast<int32_t>(i % 3));
      page.partitions.push_back({i, {Epoch(0), {leader, Incarnation(1)}}, {leader}});
    }
    model.put(Part::pages, meta::page_key(kTopic, first / meta::kPartitionsPerPage),
              meta::encode(page), Revision(1));
  }
  return model;
}

void ABrokerDies(benchmark::State& state) {
  Model model = model_of(static_cast<uint32_t>(state.range(0)));
  std::shared_ptr<const Image> image = model.make_image(Revision(1), env::Instant{});
  const Lane dead{BrokerId(3), Incarnation(1)};
  meta::LaneRecord sealed;
  sealed.successors = {{{BrokerId(1), Incarnation(1)}, 1, ""},
                       {{BrokerId(2), Incarnation(1)}, 1, ""}};
  for (auto _ : state) {
    sealed.sealed = !sealed.sealed;
    put_lane(model, dead, sealed);
    image = model.make_image(Revision(2), env::Instant{});
  }
}
BENCHMARK(ABrokerDies)->Arg(3'000)->Arg(60'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace paceline::cluster
