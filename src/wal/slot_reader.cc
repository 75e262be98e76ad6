#include "wal/slot_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace paceline::wal {
namespace {

constexpr size_t kAheadMin = 2;
constexpr size_t kAheadFirst = 4;  // before it is known how big slots are

}  // namespace

SlotReader::SlotReader(SlotStore slots, Position from, [[maybe_unused]] std::optional<Position> end)
    : slots_(std::move(slots)),
#ifdef PACELINE_PLANT_replay_beyond_seal
      end_(std::nullopt),
#else
      end_(end),
#endif
      at_(from.value),
      next_(from.value) {
}

size_t SlotReader::fetched_ahead_max() const {
  const size_t most = slots_.options().reads_max;
  if (bytes_max_ == 0) return std::min(kAheadFirst, most);
  return std::clamp<size_t>(slots_.options().read_ahead_bytes / bytes_max_, kAheadMin,
                            std::max(kAheadMin, most));
}

void SlotReader::fetch_ahead() {
  auto run = [](SlotStore slots, uint64_t sequence, bool must_exist,
                std::shared_ptr<Ahead> into) -> Task<void> {
    auto fetched = co_await fetch_slot(slots, sequence, must_exist);
    into->fetched.emplace(std::move(fetched));
    into->arrived.notify_all();
  };
  while (ahead_.size() < fetched_ahead_max() && (!end_ || next_ < end_->value)) {
    ahead_.push_back(std::make_shared<Ahead>(slots_.shard()));
    slots_.shard().spawn(run(slots_, next_++, end_.has_value(), ahead_.back()));
  }
}

Task<Result<std::optional<Group>>> SlotReader::next() {
  while (!over_) {
    auto group = co_await next_group();
    if (!group) {
      over_.emplace(fail(std::move(group).error()));
    } else if (*group) {
      co_return group;
    }
  }
  if (!*over_) co_return fail(over_->error());
  co_return std::optional<Group>();
}

// Nothing where a slot gave none: it was damaged, or it is the end.
Task<Result<std::optional<Group>>> SlotReader::next_group() {
  fetch_ahead();
  if (ahead_.empty()) {
    over_.emplace();
    co_return last_word();
  }
  const std::shared_ptr<Ahead> front = ahead_.front();
  while (!front->fetched) co_await front->arrived.wait();
  ahead_.pop_front();
  const uint64_t sequence = at_++;
  Fetched fetched = std::move(*front->fetched);
  CO_TRY_VOID(accept(fetched, sequence));
#ifdef PACELINE_PLANT_replay_beyond_seal
  if (fetched.what == Fetched::What::seal) co_return std::optional<Group>();
#endif
  if (fetched.what == Fetched::What::damaged) {
    note_damage(std::move(fetched), sequence);
    co_return std::optional<Group>();
  }
  if (fetched.what != Fetched::What::whole) {
    over_.emplace();
    co_return last_word();
  }
  bytes_max_ = std::max(bytes_max_, fetched.header.object_bytes());
  Group group{
      .entries = std::move(fetched.body.entries), .end = Position(sequence + 1), .before = {}};
  tell_damages(group, fetched.body.before);
  co_return std::optional<Group>(std::move(group));
}

// What may not be passed over.
Result<void> SlotReader::accept(const Fetched& fetched, uint64_t sequence) {
  if (fetched.what == Fetched::What::whole) {
    if (nonce_.value_or(fetched.header.nonce) != fetched.header.nonce)
      return fail(Code::corrupt, fmt::format("{} is of another writer than the slots before it",
                                             slots_.name(sequence)));
    nonce_ = fetched.header.nonce;
  }
  if (fetched.what == Fetched::What::ended) return fail(Code::closed, "the reader has gone");
  if (!end_) return {};
  if (fetched.what == Fetched::What::missing)
    return fail(Code::corrupt, fmt::format("{} is missing, and the lane ends at {}",
                                           slots_.name(sequence), end_->value));
  if (fetched.what == Fetched::What::seal)
    return fail(Code::corrupt, fmt::format("{} is a seal, and the lane ends at {}",
                                           slots_.name(sequence), end_->value));
  return {};
}

void SlotReader::note_damage(Fetched fetched, uint64_t sequence) {
  Damage damage{.from = Position(sequence),
                .to = Position(sequence + 1),
                .why = fmt::format("{} (position {}) is damaged: {}", slots_.name(sequence),
                                   sequence, fetched.why),
                .known = fetched.rows.has_value(),
                .streams = {}};
  if (fetched.rows) damage.streams = marks_of(*fetched.rows);
  damages_.push_back(std::move(damage));
}

// The slot behind a damaged one says what that had done, if its own index is lost as well.
void SlotReader::tell_damages(Group& group, const std::optional<Marks>& before) {
  if (!damages_.empty() && !damages_.back().known && before &&
      before->from == damages_.back().from) {
    damages_.back().known = true;
    damages_.back().streams = before->streams;
  }
  group.before = std::exchange(damages_, {});
}

std::optional<Group> SlotReader::last_word() {
  if (damages_.empty()) return std::nullopt;
  return Group{.entries = {}, .end = damages_.back().to, .before = std::exchange(damages_, {})};
}

}  // namespace paceline::wal
