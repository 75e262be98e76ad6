#include "env/timer_queue.h"

#include <utility>

namespace paceline::env {

bool TimerQueue::before(uint32_t a, uint32_t b) const {
  const Slot& left = slots_[a];
  const Slot& right = slots_[b];
  return left.when != right.when ? left.when < right.when : left.sequence < right.sequence;
}

void TimerQueue::sift_up(uint32_t place) {
  const uint32_t slot = heap_[place];
  while (place > 0) {
    const uint32_t parent = (place - 1) / 2;
    if (!before(slot, heap_[parent])) break;
    heap_[place] = heap_[parent];
    slots_[heap_[place]].place = place;
    place = parent;
  }
  heap_[place] = slot;
  slots_[slot].place = place;
}

void TimerQueue::sift_down(uint32_t place) {
  const uint32_t slot = heap_[place];
  for (;;) {
    uint32_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], slot)) break;
    heap_[place] = heap_[child];
    slots_[heap_[place]].place = place;
    place = child;
  }
  heap_[place] = slot;
  slots_[slot].place = place;
}

TimerQueue::Id TimerQueue::add(Instant when, Callback callback) {
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.when = when;
  slot.sequence = sequence_++;
  slot.callback = std::move(callback);
  heap_.push_back(index);
  sift_up(static_cast<uint32_t>(heap_.size() - 1));
  return (uint64_t{slots_[index].generation} << 32) | index;
}

Callback TimerQueue::take(uint32_t place) {
  const uint32_t index = heap_[place];
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (last != index) {
    heap_[place] = last;
    slots_[last].place = place;
    sift_up(place);
    sift_down(slots_[last].place);
  }
  Slot& slot = slots_[index];
  if (++slot.generation == 0) slot.generation = 1;
  free_.push_back(index);
  return std::exchange(slot.callback, nullptr);
}

void TimerQueue::remove(Id id) {
  const auto index = static_cast<uint32_t>(id);
  if (index >= slots_.size() || slots_[index].generation != id >> 32) return;
  Callback dropped = take(slots_[index].place);  // destroyed last: it may add or remove timers
}

Callback TimerQueue::take_next() {
  return take(0);
}

void TimerQueue::clear() {
  while (!heap_.empty()) Callback dropped = take(0);
}

}  // namespace paceline::env
