#include "broker/refusals.h"

#include "record/validate.h"

namespace paceline::broker {
namespace {

// What was sent behind a refused batch may still stand in a socket, if this process stood still,
// and then wait here for its partition as long as its request allows, 30 s at most. A batch older
// than this is given up by its client: delivery.timeout.ms is two minutes.
constexpr env::Duration kLives = std::chrono::minutes(2);
constexpr env::Duration kSweepEvery = std::chrono::seconds(1);
// Producers of partitions. Beyond it one that nobody knows may begin anywhere, as Kafka lets it.
constexpr size_t kNotedMax = 50'000;

bool comes_before(const Refusal& one, const Refusal& other) {
  if (one.producer_epoch != other.producer_epoch) return one.producer_epoch > other.producer_epoch;
  return record::is_ahead(other.base_sequence, one.base_sequence);
}

}  // namespace

bool Refusals::has_room(env::Instant now) {
  if (all_.size() < kNotedMax) return true;
  if (now < sweep_next_) return false;
  sweep_next_ = now + kSweepEvery;
  std::erase_if(all_, [&](const auto& one) { return one.second.at + kLives < now; });
  return all_.size() < kNotedMax;
}

void Refusals::note(std::string_view topic, int32_t index, Bytes records, env::Instant now) {
  auto batch = record::BatchView::parse(records);
  if (!batch || !batch->codec_known()) return;
  const record::BatchFacts facts = record::facts_of(*batch);
  if (!facts.has_producer()) return;
  const Refusal refusal{facts.producer_id.value, facts.producer_epoch, facts.base_sequence};
  const Key key{std::string(topic), index, refusal.producer_id};
  const auto found = all_.find(key);
  if (found == all_.end()) {
    if (has_room(now)) all_.emplace(key, Noted{now, refusal});
    return;
  }
  Noted& noted = found->second;
  if (noted.at + kLives < now || comes_before(refusal, noted.first)) noted.first = refusal;
  noted.at = now;
}

int32_t Refusals::awaited(std::string_view topic, int32_t index, Bytes records,
                          env::Instant now) const {
  if (all_.empty()) return -1;
  auto batch = record::BatchView::parse(records);
  if (!batch || !batch->codec_known()) return -1;
  const record::BatchFacts facts = record::facts_of(*batch);
  const auto found = all_.find(Key{std::string(topic), index, facts.producer_id.value});
  if (found == all_.end() || found->second.at + kLives < now) return -1;
  const Refusal& first = found->second.first;
  return first.producer_epoch == facts.producer_epoch ? first.base_sequence : -1;
}

std::vector<Refusal> Refusals::of(std::string_view topic, int32_t index, env::Instant now) {
  std::vector<Refusal> all;
#ifdef PACELINE_PLANT_refusals_forgotten
  return all;
#endif
  auto at = all_.lower_bound(Key{std::string(topic), index, INT64_MIN});
  while (at != all_.end() && at->first.index == index && at->first.topic == topic) {
    if (at->second.at + kLives < now) {
      at = all_.erase(at);
      continue;
    }
    all.push_back(at->second.first);
    ++at;
  }
  return all;
}

}  // namespace paceline::broker
