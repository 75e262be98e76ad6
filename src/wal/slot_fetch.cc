#include "wal/slot_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/log.h"
#include "object/looks.h"

namespace paceline::wal {
namespace {

constexpr env::Duration kRereadFirst = std::chrono::milliseconds(20);
constexpr env::Duration kLineEvery = std::chrono::seconds(10);
// Where a header cannot be read, the index is looked for in the last bytes of an object.
constexpr uint64_t kTailBytes = 256u << 10;

bool is(const Answer<Slice>& answer, Code code) {
  return answer.result && !*answer.result && answer.result->error().code == code;
}

// The index at the end of an object of that size, if it is whole.
Task<std::optional<std::vector<SlotRow>>> read_tail(SlotStore slots, std::string key,
                                                    uint64_t sequence) {
  const auto size = co_await slots.size(key);
  if (slots.ended() || !size.result || !*size.result) co_return std::nullopt;
  const uint64_t bytes = std::min(**size.result, kTailBytes);
  if (bytes < kSlotTrailerBytes) co_return std::nullopt;
  const auto tail = co_await slots.get(key, **size.result - bytes, bytes);
  if (!tail.result || !*tail.result) co_return std::nullopt;
  const Bytes all = (*tail.result)->bytes();
  const auto trailer = decode_slot_trailer(all.last(kSlotTrailerBytes));
  if (!trailer || trailer->sequence != sequence ||
      trailer->index_bytes > all.size() - kSlotTrailerBytes)
    co_return std::nullopt;
  const Bytes index = all.first(all.size() - kSlotTrailerBytes).last(trailer->index_bytes);
  if (crc32c(index) != trailer->index_crc) co_return std::nullopt;
  co_return decode_slot_index(index);
}

// One look at a slot. `again` says that another may tell more.
struct Look {
  Fetched fetched;
  bool again = false;
  bool failed = false;  // the store did not answer: that says nothing of the slot
  uint32_t fingerprint = object::Looks::kAbsent;  // of what cannot be right
};

Look damaged(std::string why, uint32_t fingerprint) {
  return {.fetched = {.what = Fetched::What::damaged,
                      .header = {},
                      .body = {},
                      .why = std::move(why),
                      .rows = {}},
          .again = true,
          .fingerprint = fingerprint};
}

Look no_answer(std::string why) {
  Look look;
  look.fetched.why = std::move(why);
  look.again = look.failed = true;
  return look;
}

Task<Look> look_at(SlotStore slots, uint64_t sequence) {
  const std::string key = slots.slot_key(sequence);
  const auto front = co_await slots.get(key, 0, kSlotHeaderBytes);
  if (is(front, Code::not_found)) co_return Look{};
  if (is(front, Code::out_of_range))
    co_return damaged(fmt::format("object {} is too short", key), object::Looks::kAbsent);
  if (!front.result || !*front.result) co_return no_answer(reason(front));
  const auto header = decode_slot_header((*front.result)->bytes());
  if (!header || header->owner != slots.owner() || header->sequence != sequence ||
      header->kind == SlotKind::end)
    co_return damaged(fmt::format("the header of object {} is damaged", key),
                      crc32c((*front.result)->bytes()));
  Look look;
  look.fetched.header = *header;
  look.fetched.what = Fetched::What::seal;
  if (header->kind == SlotKind::seal) co_return look;
  if (slots.ended()) co_return no_answer("nobody waits any more");
  const auto rest =
      co_await slots.get(key, kSlotHeaderBytes, header->object_bytes() - kSlotHeaderBytes);
  if (is(rest, Code::not_found)) co_return Look{};
  if (is(rest, Code::out_of_range))
    co_return damaged(fmt::format("object {} is shorter than it says", key),
                      object::Looks::kAbsent);
  if (!rest.result || !*rest.result) co_return no_answer(reason(rest));
  auto body = decode_slot_body(*header, **rest.result);
  if (!body) {
    // Its index may be whole all the same.
    Look bad = damaged(fmt::format("object {} does not match its checksums", key),
                       crc32c((*rest.result)->bytes()));
    const Bytes index = (*rest.result)->bytes().subspan(header->entries_bytes, header->index_bytes);
    if (crc32c(index) == header->index_crc) bad.fetched.rows = decode_slot_index(index);
    co_return bad;
  }
  look.fetched.what = Fetched::What::whole;
  look.fetched.body = std::move(*body);
  co_return look;
}

}  // namespace

std::optional<SlotBody> decode_slot_body(const SlotHeader& header, const Slice& body) {
  if (body.size() != header.object_bytes() - kSlotHeaderBytes) return std::nullopt;
  const Bytes all = body.bytes();
  const GroupHeader group{.lane = header.owner.lane,
                          .sequence = header.sequence,
                          .position = Position(header.sequence),
                          .durable_before = {},
                          .entry_count = header.entry_count,
                          .body_bytes = header.entries_bytes,
                          .body_crc = header.entries_crc};
  auto entries = decode_body(group, body.buffer(), all.first(header.entries_bytes));
  if (!entries) return std::nullopt;
  const Bytes index = all.subspan(header.entries_bytes, header.index_bytes);
  if (crc32c(index) != header.index_crc || !decode_slot_index(index)) return std::nullopt;
  const auto trailer = decode_slot_trailer(all.last(kSlotTrailerBytes));
  if (!trailer || trailer->sequence != header.sequence) return std::nullopt;
  SlotBody decoded;
  if (!entries->empty() && entries->front().header.kind == EntryKind::marks) {
    decoded.before = decode_marks(entries->front().payload.bytes());
    if (!decoded.before) return std::nullopt;
    entries->erase(entries->begin());
  }
  decoded.entries = std::move(*entries);
  return decoded;
}

Task<Fetched> fetch_slot(SlotStore slots, uint64_t sequence, bool must_exist) {
  env::Backoff backoff(kRereadFirst);
  const env::Instant began = slots.shard().now();
  env::Instant next_line = began + kLineEvery;
  std::optional<env::Instant> missing_since;
  std::optional<std::vector<SlotRow>> rows;
  object::Looks looks(object::Looks::kForGood);
  Fetched ended;
  ended.what = Fetched::What::ended;
  for (;;) {
    if (slots.ended()) co_return ended;
    Look look = co_await look_at(slots, sequence);
    if (slots.ended()) co_return ended;
    const env::Instant now = slots.shard().now();
    if (look.failed) {
      if (now >= next_line) {
        next_line = now + kLineEvery;
        log_warn("wal: reading {} waits for the store: {}", slots.name(sequence), look.fetched.why);
      }
    } else if (look.fetched.what == Fetched::What::missing) {
      if (!must_exist) co_return look.fetched;
      if (!missing_since) missing_since = now;
      if (now - *missing_since > slots.options().missing_patience) co_return look.fetched;
    } else if (!look.again) {
      co_return std::move(look.fetched);
    } else {
      if (look.fetched.rows) rows = std::move(look.fetched.rows);
      if (looks.settle(look.fingerprint)) {
        if (!rows) rows = co_await read_tail(slots, slots.slot_key(sequence), sequence);
        look.fetched.rows = std::move(rows);
        co_return std::move(look.fetched);
      }
    }
    if (look.again && !look.failed) {
      co_await env::sleep_for(slots.shard(), looks.pause(slots.shard().random()));
    } else if (!co_await slots.pause(backoff)) {
      co_return ended;
    }
  }
}

Task<Probed> probe_slot(SlotStore slots, std::string key, uint64_t sequence, size_t tries_max) {
  env::Backoff backoff(kRereadFirst);
  Probed probed;
  size_t unreadable = 0;
  for (size_t tries = 1;; ++tries) {
    const auto answer = co_await slots.get(key, 0, kSlotHeaderBytes);
    if (is(answer, Code::not_found)) co_return probed;
    if (answer.result && *answer.result) {
      const auto header = decode_slot_header((*answer.result)->bytes());
      if (header && header->owner == slots.owner() && header->sequence == sequence &&
          header->kind != SlotKind::end) {
        probed.header = *header;
        probed.what = header->kind == SlotKind::data ? Probed::What::data : Probed::What::seal;
        co_return probed;
      }
    }
    if (is(answer, Code::out_of_range) || (answer.result && *answer.result)) ++unreadable;
    if (slots.ended() || tries >= tries_max) {
      probed.what = Probed::What::unknown;
      probed.error = {Code::unavailable, fmt::format("{}: {}", key, reason(answer))};
      if (slots.ended() || unreadable < tries_max) co_return probed;
      // There, and never readable. Its size tells a seal.
      const auto size = co_await slots.size(key);
      if (!size.result || !*size.result) co_return probed;
      probed.what = **size.result == kSlotHeaderBytes ? Probed::What::seal : Probed::What::data;
      co_return probed;
    }
    if (!co_await slots.pause(backoff)) tries = tries_max;
  }
}

}  // namespace paceline::wal
