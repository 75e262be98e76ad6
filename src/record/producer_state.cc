#include "record/producer_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::record {
namespace {

// With this many too many at once, finding the idle ones is paid for by the next thousand.
constexpr size_t kEvictedShare = 10;

}  // namespace

// The index of the first entry that the state after `count` entries is made of: those since the
// last change of epoch, and no more than five batches among them.
size_t ProducerState::first_relevant(const Entries& entries, size_t count) {
  size_t batches = 0;
  size_t first = count;
  while (first > 0 && entries[first - 1].epoch == entries[count - 1].epoch) {
    if (!entries[first - 1].marker() && ++batches > kProducerBatchesKept) break;
    --first;
  }
  return first;
}

size_t ProducerState::count_below(const Entries& entries, Offset end) {
  size_t count = entries.size();
  while (count > 0 && entries[count - 1].last_offset >= end) --count;
  return count;
}

// Drops what no state at or above `floor` can be made of.
void ProducerState::reduce(Entries& entries, Offset floor) {
  const size_t durable = count_below(entries, floor);
  if (durable == 0) return;
  entries.erase(entries.begin(), entries.begin() + first_relevant(entries, durable));
  // A marker says something only while it is the last word: the epoch and the time.
  const auto durable_end = entries.begin() + count_below(entries, floor);
  const auto kept = std::remove_if(entries.begin(), durable_end - 1,
                                   [](const Entry& entry) { return entry.marker(); });
  entries.erase(kept, durable_end - 1);
}

ProducerState::Verdict ProducerState::check(const BatchFacts& facts) const {
  if (!facts.has_producer()) return Accept{};
  const auto found = producers_.find(facts.producer_id);
  if (found == producers_.end()) return check_unknown(facts);
  const Entries& entries = found->second;
  const Entry& last = entries.back();
  if (facts.producer_epoch < last.epoch)
    return Refused{{KafkaError::invalid_producer_epoch,
                    fmt::format("producer {} writes with epoch {}, its newest is {}",
                                facts.producer_id.value, facts.producer_epoch, last.epoch)},
                   last.last_offset};
  return check_sequence(facts, entries);
}

// May start at any sequence, but not with what it sent behind a first batch that was refused.
ProducerState::Verdict ProducerState::check_unknown(const BatchFacts& facts) const {
  const auto first = awaited_.find(facts.producer_id);
  if (first == awaited_.end() || first->second.epoch != facts.producer_epoch) return Accept{};
  if (!is_ahead(facts.base_sequence, first->second.base_sequence)) return Accept{};
  return Refused{
      {KafkaError::out_of_order_sequence_number,
       fmt::format("producer {} writes sequence {}, its batch of sequence {} has not come "
                   "again",
                   facts.producer_id.value, facts.base_sequence, first->second.base_sequence)},
      Offset(-1)};
}

void ProducerState::refused_for_now(const BatchFacts& facts) {
  if (!facts.has_producer() || facts.control || producers_.contains(facts.producer_id)) return;
  await(facts.producer_id, {facts.producer_epoch, facts.base_sequence});
}

void ProducerState::await(ProducerId id, Awaited first) {
  const auto known = awaited_.find(id);
  if (known != awaited_.end()) {
    const Awaited& there = known->second;
    if (there.epoch > first.epoch) return;
    if (there.epoch == first.epoch && !is_ahead(there.base_sequence, first.base_sequence)) return;
  }
  if (awaited_.size() >= kAwaitedMax) awaited_.erase(awaited_.begin());
  awaited_.insert_or_assign(id, first);
}

ProducerState::Verdict ProducerState::check_sequence(const BatchFacts& facts,
                                                     const Entries& entries) const {
  const Entry& last = entries.back();
  int32_t expected = 0;  // in a new epoch, and after nothing but markers
  if (facts.producer_epoch == last.epoch) {
    const Entry* newest = nullptr;
    for (size_t i = entries.size(); i-- > first_relevant(entries, entries.size());) {
      const Entry& entry = entries[i];
      if (entry.marker()) continue;
      if (!newest) newest = &entry;
      if (entry.base_sequence == facts.base_sequence && entry.last_sequence == facts.last_sequence)
        return Duplicate{entry.base_offset, entry.last_offset, entry.append_time_ms};
    }
    if (newest) expected = advance_sequence(newest->last_sequence, 1);
  }
  if (facts.base_sequence == expected) return Accept{};
  return Refused{{KafkaError::out_of_order_sequence_number,
                  fmt::format("producer {} writes sequence {}, expected was {}",
                              facts.producer_id.value, facts.base_sequence, expected)},
                 last.last_offset};
}

void ProducerState::apply(const BatchFacts& facts, Offset base_offset, int64_t append_time_ms) {
  CHECK(base_offset >= end_ && facts.last_offset_delta >= 0);
  const Offset last_offset = base_offset + facts.last_offset_delta;
  end_ = last_offset + 1;
  if (!facts.has_producer()) return;
  const bool marker = facts.control;
  awaited_.erase(facts.producer_id);
  producers_[facts.producer_id].push_back(
      Entry{marker ? kNoSequence : facts.base_sequence, marker ? kNoSequence : facts.last_sequence,
            base_offset, last_offset, append_time_ms, facts.producer_epoch});
  undurable_.push_back(Undurable{last_offset, facts.producer_id});
}

void ProducerState::forget_from(Offset offset) {
  CHECK(offset >= floor_);
  while (!undurable_.empty() && undurable_.back().last_offset >= offset) {
    const auto found = producers_.find(undurable_.back().producer_id);
    undurable_.pop_back();
    const Entry gone = found->second.back();
    found->second.pop_back();
    if (!found->second.empty()) continue;
    if (!gone.marker()) await(found->first, {gone.epoch, gone.base_sequence});
    producers_.erase(found);
  }
  end_ = std::min(end_, offset);
}

void ProducerState::durable_up_to(Offset floor) {
  if (floor <= floor_) return;
  floor_ = floor;
  end_ = std::max(end_, floor);
  while (!undurable_.empty() && undurable_.front().last_offset < floor) {
    reduce(producers_.find(undurable_.front().producer_id)->second, floor);
    undurable_.pop_front();
  }
  if (producers_.size() > producers_max_) evict_idle();
}

// Only producers without batches above the floor go: the others are in use, and what is in flight
// is bounded by its memory.
void ProducerState::evict_idle() {
  std::vector<std::pair<Offset, ProducerId>> idle;
  for (const auto& [id, entries] : producers_)
    if (entries.back().last_offset < floor_) idle.emplace_back(entries.back().last_offset, id);
  const size_t wanted = producers_.size() - producers_max_ + producers_max_ / kEvictedShare;
  const size_t count = std::min(wanted, idle.size());
  std::nth_element(idle.begin(), idle.begin() + static_cast<ptrdiff_t>(count), idle.end());
  for (size_t i = 0; i < count; ++i) producers_.erase(idle[i].second);
}

void ProducerState::expire(int64_t time_ms) {
  std::erase_if(producers_, [&](const auto& producer) {
    const Entry& last = producer.second.back();
    return last.append_time_ms < time_ms && last.last_offset < floor_;
  });
}

std::vector<ProducerState::Producer> ProducerState::producers() const {
  std::vector<Producer> out;
  out.reserve(producers_.size());
  for (const auto& [id, entries] : producers_) {
    const Entry& last = entries.back();
    Producer producer{id, last.epoch, kNoSequence, last.last_offset, last.append_time_ms};
    for (size_t i = first_relevant(entries, entries.size()); i < entries.size(); ++i)
      if (!entries[i].marker()) producer.last_sequence = entries[i].last_sequence;
    out.push_back(producer);
  }
  std::ranges::sort(out, {}, &Producer::id);
  return out;
}

size_t ProducerState::bytes() const {
  constexpr size_t kProducerBytes = 80;  // a hash node with its bucket, and the vector's own block
  size_t entry_count = 0;
  for (const auto& [id, entries] : producers_) entry_count += entries.capacity();
  return producers_.size() * kProducerBytes + entry_count * sizeof(Entry) +
         undurable_.size() * sizeof(Undurable) + awaited_.size() * kProducerBytes;
}

}  // namespace paceline::record
