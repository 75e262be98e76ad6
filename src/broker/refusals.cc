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

void Refusals::note(const StreamId& stream, Bytes records, env::Instant now) {
  auto batch = record::BatchView::parse(records);
  if (!batch || !batch->codec_known()) return;
  const record::BatchFacts facts = record::facts_of(*batch);
  if (!facts.has_producer()) return;
  forget_old(now);
  all_.push_back(
      {now, stream, {facts.producer_id.value, facts.producer_epoch, facts.base_sequence}});
}

std::vector<Refusal> Refusals::take(const StreamId& stream, env::Instant now) {
  forget_old(now);
  std::vector<Refusal> taken;
#ifdef PACELINE_PLANT_refusals_forgotten
  return taken;
#endif
  std::erase_if(all_, [&](const Noted& noted) {
    if (noted.stream != stream) return false;
    taken.push_back(noted.what);
    return true;
  });
  return taken;
}

}  // namespace paceline::broker
