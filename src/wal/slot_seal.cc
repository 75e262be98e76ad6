#include "wal/slot_seal.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wal/side_by_side.h"
#include "wal/slot_fetch.h"
#include "wal/slot_put.h"

namespace paceline::wal {
namespace {

constexpr size_t kTriesMax = 6;  // of a request; the caller tries again
// Slots that are looked at side by side: few where the tail is short, then more.
constexpr uint64_t kProbesFirst = 8;
constexpr uint64_t kProbesMax = 64;
// A writer that is alive and faster than we are meets a seal so many slots ahead, which stops it.
constexpr uint64_t kBarrierFirst = 64;
constexpr size_t kKeysAtOnce = 1000;  // S3's limit

Slice slice_of(const SlotHeader& header) {
  return Slice::copy_of(as_bytes(encode_slot_header(header)));
}

SlotHeader stamp(const SlotStore& slots, SlotKind kind, uint64_t sequence) {
  return {.kind = kind,
          .owner = slots.owner(),
          .sequence = sequence,
          .nonce = {.high = slots.shard().random(), .low = slots.shard().random()},
          .trimmed = {},
          .sealer = slots.options().self};
}

// The first slot from `from` on that holds no data, and whether it is a seal.
struct Frontier {
  uint64_t sequence = 0;
  bool sealed = false;
};
Task<Result<Frontier>> find_frontier(SlotStore slots, uint64_t from) {
  SideBySide<Probed> probes(slots.shard());
  uint64_t next = from;
  for (uint64_t i = 0;; ++i, ++from) {
    const uint64_t ahead = std::min(kProbesFirst + 2 * i, kProbesMax);
    for (; next < from + ahead; ++next)
      probes.start(probe_slot(slots, slots.slot_key(next), next, kTriesMax));
    const Probed one = co_await probes.value(i);
    if (one.what == Probed::What::unknown) co_return fail(one.error);
    if (one.what != Probed::What::data)
      co_return Frontier{.sequence = from, .sealed = one.what == Probed::What::seal};
  }
}

Task<Settled> put_seal(SlotStore slots, uint64_t sequence) {
  const SlotHeader seal = stamp(slots, SlotKind::seal, sequence);
  SlotPut put{.key = slots.slot_key(sequence),
              .sequence = sequence,
              .nonce = seal.nonce,
              .body = std::vector<Slice>(1, slice_of(seal)),
              .tries_max = kTriesMax};
  return settle_slot(slots, std::move(put));
}

// Whether a slot holds a seal, where that was put or found by put_seal().
Task<Result<bool>> holds_seal(SlotStore slots, uint64_t sequence, Settled settled) {
  if (settled.whose == Settled::Whose::ours) {
    ++slots.counters().seals;
    co_return true;
  }
  if (settled.whose == Settled::Whose::others) co_return settled.header.kind == SlotKind::seal;
  if (settled.error.code != Code::corrupt) co_return fail(Code::unavailable, settled.error.message);
  // There, and not readable: its size tells.
  const auto probed = co_await probe_slot(slots, slots.slot_key(sequence), sequence, kTriesMax);
  if (probed.what == Probed::What::data || probed.what == Probed::What::seal)
    co_return probed.what == Probed::What::seal;
  co_return fail(Code::unavailable, settled.error.message);
}

// The first slot that holds no data decides. All below it are known to hold data by then, so no
// writer and no other sealer can change it; what stands above, a barrier of ours too, is void.
Task<Result<uint64_t>> decide_end(SlotStore slots, uint64_t from) {
  for (uint64_t barrier = 0;; barrier = std::max(2 * barrier, kBarrierFirst)) {
    CO_TRY(const Frontier frontier, co_await find_frontier(slots, from));
    if (frontier.sealed) co_return frontier.sequence;
    SideBySide<Settled> puts(slots.shard());
    puts.start(put_seal(slots, frontier.sequence));
#ifndef PACELINE_PLANT_seal_without_barrier
    if (barrier > 0) puts.start(put_seal(slots, frontier.sequence + barrier));
#endif
    Settled first = co_await puts.value(0);
    CO_TRY(const bool sealed, co_await holds_seal(slots, frontier.sequence, std::move(first)));
    if (sealed) co_return frontier.sequence;
    from = frontier.sequence + 1;
  }
}

// All keys of the lane, as a list tells them; what it misses stays.
Task<Result<std::vector<object::Listed>>> list_slots(SlotStore slots) {
  std::vector<object::Listed> all;
  std::string after;
  for (;;) {
    const auto answer = co_await slots.list(after);
    if (!answer.result) co_return fail(Code::unavailable, reason(answer));
    if (!*answer.result) co_return fail(answer.result->error());
    const object::ListPage& page = **answer.result;
    all.insert(all.end(), page.objects.begin(), page.objects.end());
    if (!page.more || page.objects.empty()) co_return all;
    after = page.objects.back().key;
  }
}

// Writes down where the lane ends, unless that stands there already: the first one decides for
// everybody. While a slot above `trimmed` is there, all find the same; a sealer that comes when
// they are gone finds what was written before.
Task<Result<Position>> agree_on_end(SlotStore slots, uint64_t end) {
  const SlotHeader mark = stamp(slots, SlotKind::end, end);
  SlotPut put{.key = end_key(slots.owner()),
              .sequence = {},
              .nonce = mark.nonce,
              .body = std::vector<Slice>(1, slice_of(mark)),
              .tries_max = kTriesMax};
  const Settled settled = co_await settle_slot(slots, std::move(put));
  if (settled.whose == Settled::Whose::unknown)
    co_return fail(Code::unavailable, settled.error.message);
  co_return Position(settled.whose == Settled::Whose::ours ? end : settled.header.sequence);
}

Task<Result<void>> remove_keys(SlotStore slots, std::vector<std::string> keys) {
  const auto answer = co_await slots.remove(std::move(keys));
  if (!answer.result) co_return fail(Code::unavailable, reason(answer));
  co_return *answer.result;
}

// What still runs side by side for a task that is gone asks the store no more.
struct EndOfTask {
  const SlotStore& slots;
  ~EndOfTask() { slots.end(); }
};

}  // namespace

Task<Result<Position>> seal_slots(SlotStore slots, Position trimmed) {
  const EndOfTask end_of_task{slots};
#ifdef PACELINE_PLANT_seal_from_zero
  trimmed = Position(0);
#endif
#ifdef PACELINE_PLANT_list_is_truth
  CO_TRY(const auto listed, co_await list_slots(slots));
  for (const object::Listed& object : listed)
    if (const auto slot = parse_slot_key(slots.owner(), object.key))
      trimmed = std::max(trimmed, Position(*slot + 1));
#endif
  CO_TRY(const uint64_t end, co_await decide_end(slots, trimmed.value));
#ifdef PACELINE_PLANT_end_is_forgotten
  co_return Position(end);
#endif
  co_return co_await agree_on_end(slots, end);
}

Task<Result<std::optional<Position>>> read_end(SlotStore slots) {
  env::Backoff backoff;
  const std::string key = end_key(slots.owner());
  for (size_t tries = 1;; ++tries) {
    const auto answer = co_await slots.get(key, 0, kSlotHeaderBytes);
    if (answer.result && !*answer.result && answer.result->error().code == Code::not_found)
      co_return std::optional<Position>();
    if (answer.result && *answer.result) {
      const auto mark = decode_slot_header((*answer.result)->bytes());
      if (mark && mark->owner == slots.owner() && mark->kind == SlotKind::end)
        co_return std::optional(Position(mark->sequence));
    }
    if (tries == kTriesMax || slots.ended())
      co_return fail(Code::unavailable, fmt::format("{}: {}", key, reason(answer)));
    (void)co_await slots.pause(backoff);
  }
}

Task<Result<void>> remove_slots(SlotStore slots) {
  const EndOfTask end_of_task{slots};
  CO_TRY(const auto listed, co_await list_slots(slots));
  CO_TRY(const auto end, co_await read_end(slots));
  if (!end && !listed.empty())
    co_return fail(Code::conflict,
                   fmt::format("lane {} is not sealed", slots.owner().lane.to_string()));
  std::vector<std::string> keys;
  for (const object::Listed& object : listed) {
    if (!parse_slot_key(slots.owner(), object.key)) continue;
    // A seal stays for ever, whoever put it: a late writer has to find it.
#ifndef PACELINE_PLANT_seal_is_removed
    if (object.bytes == kSlotHeaderBytes) continue;
#endif
    keys.push_back(object.key);
    if (keys.size() == kKeysAtOnce)
      CO_TRY_VOID(co_await remove_keys(slots, std::exchange(keys, {})));
  }
  if (!keys.empty()) CO_TRY_VOID(co_await remove_keys(slots, std::move(keys)));
  co_return Result<void>{};
}

}  // namespace paceline::wal
