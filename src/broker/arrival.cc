#include "broker/arrival.h"

#include <algorithm>

namespace paceline::broker {
namespace {

int64_t us(env::Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

}  // namespace

void Arrival::note_open(const env::Shard& shard, Served one) {
  OfShard& of = shards_[shard.index()];
  of.open += 1;
  of.first = std::min(of.first, one.at);
  of.last = std::max(of.last, one.at);
  if (of.named.size() <= kNamedMax) of.named.push_back(std::move(one));
}

void Arrival::tell_all() const {
  OfShard all;
  for (const OfShard& of : shards_) {
    all.open += of.open;
    all.offline += of.offline;
    all.first = std::min(all.first, of.first);
    all.last = std::max(all.last, of.last);
  }
  Event event(Event::Plane::data, "partition.serving");
  event.cause = cause_;
  event.add("partitions", all.open);
  event.add("offline", all.offline);
  if (all.open > 0) {
    event.at_ns = all.last.since_start.count();
    event.took_ns = (all.last - began_).count();
    event.add("first_us", us(all.first - began_));
    event.add("last_us", us(all.last - began_));
  }
  if (all.open <= kNamedMax)
    for (const OfShard& of : shards_)
      for (const Served& one : of.named)
        tell_(Event(Event::Plane::control, "leader.moved")
                  .caused_by(cause_)
                  .about(one.topic, one.index)
                  .in_epoch(one.epoch)
                  .up_to(one.end)
                  .at(one.at));
  tell_(std::move(event));
}

void Arrival::tell_client(std::string_view request, Served one) {
  if (client_served_.exchange(true)) return;
  tell_(Event(Event::Plane::data, "partition.first_served")
            .caused_by(cause_)
            .about(one.topic, one.index)
            .in_epoch(one.epoch)
            .up_to(one.end)
            .at(one.at)
            .took(one.at - began_)
            .with("request", std::string(request)));
}

}  // namespace paceline::broker
