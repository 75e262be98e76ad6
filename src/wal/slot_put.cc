#include "wal/slot_put.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "object/looks.h"

namespace paceline::wal {
namespace {

constexpr env::Duration kFirstLine = std::chrono::seconds(3);
constexpr env::Duration kLineEvery = std::chrono::seconds(30);

Settled unknown(Code code, std::string why) {
  return {.whose = Settled::Whose::unknown, .header = {}, .error = {code, std::move(why)}};
}

// Tells an operator who waits why, now and then.
class Lines {
 public:
  explicit Lines(env::Shard& shard) : shard_(shard), next_(shard.now() + kFirstLine) {}
  void tell(const std::string& key, const std::string& why) {
    if (shard_.now() < next_) return;
    next_ = shard_.now() + kLineEvery;
    log_warn("wal: {} waits for the store: {}", key, why);
  }

 private:
  env::Shard& shard_;
  env::Instant next_;
};

}  // namespace

SlotStep after_put(const Answer<void>& answer) {
  if (!answer.result) return SlotStep::put_again;
#ifndef PACELINE_PLANT_late_answer_counts
  // What was said too late may be said of a lane that is another's by now.
  if (*answer.result) return answer.late ? SlotStep::read_back : SlotStep::ours;
#else
  if (*answer.result) return SlotStep::ours;
#endif
  switch (answer.result->error().code) {
    case Code::already_exists:
#ifdef PACELINE_PLANT_exists_is_fence
      return SlotStep::others;
#else
      return SlotStep::read_back;
#endif
#ifdef PACELINE_PLANT_conflict_is_success
    case Code::conflict:
      return SlotStep::ours;
#endif
    default:
      return SlotStep::put_again;
  }
}

SlotStep after_read(const Answer<Slice>& answer, const Owner& owner,
                    std::optional<uint64_t> sequence, const Nonce& nonce,
                    std::optional<SlotHeader>& header) {
  if (answer.late || !answer.result) return SlotStep::read_back;
  if (!*answer.result)
    // Not there is not known to be absent: the same bytes again, and the store decides.
    return answer.result->error().code == Code::not_found ? SlotStep::put_again
                                                          : SlotStep::read_back;
  const auto found = decode_slot_header((*answer.result)->bytes());
  if (!found || found->owner != owner) return SlotStep::read_back;
  const bool of_this_key = sequence ? found->kind != SlotKind::end && found->sequence == *sequence
                                    : found->kind == SlotKind::end;
  if (!of_this_key) return SlotStep::read_back;
  header = found;
#ifdef PACELINE_PLANT_slot_without_nonce
  return SlotStep::ours;
#endif
  return found->nonce == nonce ? SlotStep::ours : SlotStep::others;
}

Task<Settled> settle_slot(SlotStore slots, SlotPut put) {
  env::Backoff backoff;
  Lines lines(slots.shard());
  SlotStep step = SlotStep::put_again;
  std::string why;
  object::Looks looks(object::Looks::kForGood);
  for (size_t tries = 1;; ++tries) {
    if (slots.ended()) co_return unknown(Code::closed, "nobody waits for it any more");
    std::optional<SlotHeader> header;
    if (step == SlotStep::put_again) {
      auto answer = co_await slots.put(put.key, put.body);
      step = after_put(answer);
      why = reason(answer);
      if (step == SlotStep::read_back) continue;  // at once
    } else {
      auto answer = co_await slots.get(put.key, 0, kSlotHeaderBytes);
      step = after_read(answer, slots.owner(), put.sequence, put.nonce, header);
      why = reason(answer);
      const bool damaged = step == SlotStep::read_back && !answer.late && answer.result &&
                           (*answer.result || answer.result->error().code == Code::out_of_range);
      if (damaged) why = fmt::format("{} is there and cannot be read", put.key);
      if (damaged &&
          looks.settle(*answer.result ? crc32c((*answer.result)->bytes()) : object::Looks::kAbsent))
        co_return unknown(Code::corrupt, why);
    }
    if (step == SlotStep::ours)
      co_return Settled{.whose = Settled::Whose::ours, .header = {}, .error = {}};
    if (step == SlotStep::others)
      co_return Settled{
          .whose = Settled::Whose::others, .header = header.value_or(SlotHeader{}), .error = {}};
    if (put.tries_max != 0 && tries >= put.tries_max)
      co_return unknown(Code::unavailable, fmt::format("{}: {}", put.key, why));
    lines.tell(put.key, why);
    if (!co_await slots.pause(backoff)) co_return unknown(Code::closed, why);
  }
}

}  // namespace paceline::wal
