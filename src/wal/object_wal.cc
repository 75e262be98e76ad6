#include <fmt/format.h>

#include "wal/slot_log.h"
#include "wal/slot_reader.h"
#include "wal/slot_seal.h"
#include "wal/wal.h"

namespace paceline::wal {
namespace {

// Whether anything is known of the lane. Waits for the store.
Task<bool> was_used(SlotStore slots) {
  env::Backoff backoff;
  for (;;) {
    constexpr size_t kOnce = 1;
    const Probed first = co_await probe_slot(slots, slots.slot_key(0), 0, kOnce);
    if (first.what != Probed::What::unknown) {
      if (first.what != Probed::What::absent) co_return true;
      const auto end = co_await read_end(slots);
      if (end) co_return end->has_value();
    }
    (void)co_await slots.pause(backoff);
  }
}

class ObjectWal final : public Wal {
 public:
  ObjectWal(object::Store& store, std::shared_ptr<const ObjectWalOptions> options)
      : store_(store), options_(std::move(options)) {}

  // Nothing is written: the first slot is put if absent, as every other. An incarnation is given
  // once, by the metadata; what is caught here is a lane that is sealed, or has its first slot.
  Task<Result<std::unique_ptr<Writer>>> create(env::Shard& owner, Lane lane) override {
    const SlotStore slots(store_, options_, lane, owner);
    if (co_await was_used(slots))
      co_return fail(Code::already_exists,
                     fmt::format("lane {} has been used or sealed", lane.to_string()));
    auto log = std::make_shared<SlotLog>(slots);
    log->start();
    co_return std::make_unique<LaneWriter<SlotLog>>(std::move(log));
  }

  Task<Result<Position>> seal(env::Shard& shard, Lane lane, Position trimmed) override {
    return seal_slots(SlotStore(store_, options_, lane, shard), trimmed);
  }

  Task<Result<std::unique_ptr<Reader>>> read(env::Shard& shard, Lane lane, Position from,
                                             std::optional<Position> end) override {
    co_return std::make_unique<SlotReader>(SlotStore(store_, options_, lane, shard), from, end);
  }

  Task<Result<void>> remove(env::Shard& shard, Lane lane) override {
    return remove_slots(SlotStore(store_, options_, lane, shard));
  }

 private:
  object::Store& store_;
  const std::shared_ptr<const ObjectWalOptions> options_;
};

}  // namespace

std::unique_ptr<Wal> make_object_wal(object::Store& store, ObjectWalOptions options) {
  CHECK(options.puts_max > 0 && options.reads_max > 0);
  if (!options.counters) options.counters = std::make_shared<ObjectWalCounters>();
  return std::make_unique<ObjectWal>(store,
                                     std::make_shared<const ObjectWalOptions>(std::move(options)));
}

}  // namespace paceline::wal
