#include "takeover/visited.h"

#include <cstring>

#include "base/check.h"

namespace paceline::takeover {
namespace {

constexpr size_t kTableFirst = size_t{1} << 12;

uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  value ^= value >> 32;
  return value * 0xd6e8feb86659fd93ull;
}

// Our own, so that a report does not depend on the library that happens to be there.
uint64_t hash_of(std::string_view state) {
  uint64_t hash = mix(state.size() + 0x9e3779b97f4a7c15ull);
  while (!state.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(state.size(), sizeof word);
    std::memcpy(&word, state.data(), taken);
    state.remove_prefix(taken);
    hash = mix(hash ^ word) + 0x9e3779b97f4a7c15ull;
  }
  return mix(hash);
}

}  // namespace

Visited::Visited() : table_(kTableFirst, kFree) {}

std::pair<uint32_t, bool> Visited::insert(std::string_view state) {
  if ((places_.size() + 1) * 3 > table_.size() * 2) grow();
  const auto hash = static_cast<uint32_t>(hash_of(state) >> 32);
  const size_t mask = table_.size() - 1;
  size_t at_slot = hash & mask;
  while (table_[at_slot] != kFree) {
    const uint32_t number = table_[at_slot];
    if (places_[number].hash == hash && at(number) == state) return {number, false};
    at_slot = (at_slot + 1) & mask;
  }
  const uint32_t number = size();
  CHECK(number != kFree);
  places_.push_back(store(state, hash));
  table_[at_slot] = number;
  return {number, true};
}

std::string_view Visited::at(uint32_t number) const {
  const Place& place = places_[number];
  return {chunks_[place.chunk].get() + place.start, place.bytes};
}

uint64_t Visited::bytes() const {
  return chunks_.size() * kChunkBytes + places_.capacity() * sizeof(Place) +
         table_.size() * sizeof(uint32_t);
}

void Visited::grow() {
  std::vector<uint32_t> bigger(table_.size() * 2, kFree);
  const size_t mask = bigger.size() - 1;
  for (uint32_t number = 0; number < size(); ++number) {
    size_t at_slot = places_[number].hash & mask;
    while (bigger[at_slot] != kFree) at_slot = (at_slot + 1) & mask;
    bigger[at_slot] = number;
  }
  table_ = std::move(bigger);
}

Visited::Place Visited::store(std::string_view state, uint32_t hash) {
  CHECK(state.size() <= (size_t{1} << 16));
  if (chunk_used_ + state.size() > kChunkBytes) {
    chunks_.push_back(std::make_unique<char[]>(kChunkBytes));
    chunk_used_ = 0;
  }
  const auto chunk = static_cast<uint32_t>(chunks_.size() - 1);
  std::memcpy(chunks_[chunk].get() + chunk_used_, state.data(), state.size());
  const Place place{chunk, static_cast<uint32_t>(chunk_used_), hash,
                    static_cast<uint32_t>(state.size())};
  chunk_used_ += state.size();
  return place;
}

}  // namespace paceline::takeover
