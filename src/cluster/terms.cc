#include "cluster/terms.h"

#include <bit>
#include <cstring>

namespace paceline::cluster {
namespace {

// More links than restarts that a broker could ever make between two materialisations: a longer
// chain is a loop in damaged metadata.
constexpr int kChainMax = 100'000;

uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

uint64_t hash_of(const StreamId& stream, Lane lane) {
  uint64_t hash = 0;
  for (uint8_t byte : stream.owner.bytes) hash = mix(hash ^ byte);
  hash = mix(hash ^ stream.index);
  hash = mix(hash ^ static_cast<uint32_t>(lane.broker.value));
  return mix(hash ^ lane.incarnation.value);
}

// -log2(hash / 2^64) with 26 bits after the point, in integers: every machine gets the same bits.
uint64_t minus_log2(uint64_t hash) {
  if (hash == 0) hash = 1;
  const int zeros = std::countl_zero(hash);
  uint64_t mantissa = (hash << zeros) >> 32;  // in [2^31, 2^32)
  uint64_t fraction = 0;
  for (int bit = 0; bit < 26; ++bit) {
    mantissa = (mantissa * mantissa) >> 31;
    fraction <<= 1;
    if (mantissa >> 32) {
      mantissa >>= 1;
      fraction |= 1;
    }
  }
  return (static_cast<uint64_t>(zeros + 1) << 26) - fraction;
}

}  // namespace

const meta::Successor* choose_successor(const meta::LaneRecord& sealed,
                                        const std::vector<BrokerId>& preferred,
                                        const StreamId& stream) {
  if (sealed.choice_version != 1) return nullptr;
  for (BrokerId broker : preferred)
    for (const meta::Successor& successor : sealed.successors)
      if (successor.lane.broker == broker) return &successor;
  // The least -log(hash) / capacity wins: a share in proportion to capacity, and nobody moves but
  // those of the broker that goes. Products of 40 and 32 bits need no division.
  const meta::Successor* best = nullptr;
  uint64_t best_log = 0;
  for (const meta::Successor& successor : sealed.successors) {
    if (successor.capacity == 0) continue;
    const uint64_t log = minus_log2(hash_of(stream, successor.lane));
    __extension__ using Wide = unsigned __int128;
    if (best && Wide(log) * best->capacity >= Wide(best_log) * successor.capacity) continue;
    best = &successor;
    best_log = log;
  }
  return best;
}

std::optional<LeaderTerm> live_term(const meta::TermRecord& term,
                                    const std::vector<BrokerId>& preferred, const StreamId& stream,
                                    const LaneLookup& lane) {
  LeaderTerm live{term.epoch, term.lane, {}};
  for (int link = 0; link < kChainMax; ++link) {
    const meta::LaneRecord* record = lane(live.lane);
    if (!record) return std::nullopt;
    if (!record->sealed) return live;
    const meta::Successor* next = choose_successor(*record, preferred, stream);
    if (!next) return std::nullopt;
#ifdef PACELINE_PLANT_epoch_reused
    live = LeaderTerm{live.epoch, next->lane, live.lane};
#else
    live = LeaderTerm{live.epoch + 1, next->lane, live.lane};
#endif
  }
  return std::nullopt;
}

}  // namespace paceline::cluster
