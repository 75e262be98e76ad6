#include "broker/refusals.h"

#include "record/validate.h"

namespace paceline::broker {
namespace {

// Longer than a client leaves its requests on their way.
constexpr env::Duration kLives = std::chrono::seconds(10);
constexpr size_t kNotedMax = 10'000;

}  // namespace

void Refusals::forget_old(env::Instant now) {
  while (!all_.empty() && (all_.front().at + kLives < now || all_.size() >= kNotedMax))
    all_.pop_front();
}

void Refusals::note(std::string_view topic, int32_t index, Bytes records, env::Instant now) {
  auto batch = record::BatchView::parse(records);
  if (!batch || !batch->codec_known()) return;
  const record::BatchFacts facts = record::facts_of(*batch);
  if (!facts.has_producer()) return;
  forget_old(now);
  const Refusal refusal{facts.producer_id.value, facts.producer_epoch, facts.base_sequence};
  all_.push_back({now, std::string(topic), index, refusal});
}

std::vector<Refusal> Refusals::take(std::string_view topic, int32_t index, env::Instant now) {
  forget_old(now);
  std::vector<Refusal> taken;
#ifdef PACELINE_PLANT_refusals_forgotten
  return taken;
#endif
  std::erase_if(all_, [&](const Noted& noted) {
    if (noted.index != index || noted.topic != topic) return false;
    taken.push_back(noted.what);
    return true;
  });
  return taken;
}

}  // namespace paceline::broker
