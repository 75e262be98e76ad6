#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "wal/slot_fetch.h"

namespace paceline::wal {

// Reads the slots of a lane by their numbers, several ahead.
class SlotReader final : public Reader {
 public:
  SlotReader(SlotStore slots, Position from, std::optional<Position> end);
  SlotReader(const SlotReader&) = delete;
  SlotReader& operator=(const SlotReader&) = delete;
  ~SlotReader() override { slots_.end(); }

  Task<Result<std::optional<Group>>> next() override;

 private:
  struct Ahead {
    explicit Ahead(env::Shard& shard) : arrived(shard) {}
    std::optional<Fetched> fetched;
    env::Event arrived;
  };

  void fetch_ahead();
  size_t fetched_ahead_max() const;
  Task<Result<std::optional<Group>>> next_group();
  Result<void> accept(const Fetched& fetched, uint64_t sequence);
  void note_damage(Fetched fetched, uint64_t sequence);
  void tell_damages(Group& group, const std::optional<Marks>& before);
  std::optional<Group> last_word();

  const SlotStore slots_;
  const std::optional<Position> end_;
  uint64_t at_;    // the next to be returned
  uint64_t next_;  // the next to be fetched
  std::deque<std::shared_ptr<Ahead>> ahead_;
  uint64_t bytes_max_ = 0;  // of a slot so far
  std::optional<Nonce> nonce_;
  std::vector<Damage> damages_;       // not told yet
  std::optional<Result<void>> over_;  // told again and again; success at the end
};

}  // namespace paceline::wal
