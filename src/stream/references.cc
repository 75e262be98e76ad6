#include "stream/references.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::stream {
namespace {

// Follows who takes over from whom.
class Chains {
 public:
  explicit Chains(const std::vector<LaneFacts>& all) {
    for (const LaneFacts& lane : all) lanes_.emplace(lane.lane, &lane);
  }

  bool in_force(const LaneFacts& lane) const {
    if (!lane.record.sealed || lane.record.successors.empty()) return true;
    return std::ranges::any_of(lane.record.successors, [&](const meta::Successor& successor) {
      return !lane.marks.contains(successor.lane) && !has_passed_on(lane.lane, successor.lane);
    });
  }

 private:
  // A restart's first checkpoint covers all lanes before it. And of an heir that was sealed since,
  // those who took over from it have its share as well.
  bool has_passed_on(const Lane& lane, const Lane& heir) const {
    const auto found = lanes_.find(heir);
    if (found == lanes_.end()) return false;
    const LaneFacts& facts = *found->second;
    if (heir.broker == lane.broker && facts.record.checkpoint != 0) return true;
    return facts.record.sealed && !in_force(facts);
  }

  std::map<Lane, const LaneFacts*> lanes_;
};

bool same_hands(const LaneFacts& one, const LaneFacts& other) {
  const auto lane_of = [](const meta::Successor& successor) { return successor.lane; };
  return one.lane == other.lane && one.record.sealed == other.record.sealed &&
         one.marks == other.marks && one.record.adopted_count == other.record.adopted_count &&
         std::ranges::equal(one.record.successors, other.record.successors, {}, lane_of, lane_of);
}

}  // namespace

std::vector<const LaneFacts*> lanes_in_force(const std::vector<LaneFacts>& all) {
  const Chains chains(all);
  std::vector<const LaneFacts*> in_force;
  for (const LaneFacts& lane : all)
    if (chains.in_force(lane)) in_force.push_back(&lane);
  return in_force;
}

bool same_hands(const std::vector<LaneFacts>& one, const std::vector<LaneFacts>& other) {
  return std::ranges::equal(
      one, other, [](const LaneFacts& a, const LaneFacts& b) { return same_hands(a, b); });
}

void ReferenceReader::know(ObjectId checkpoint, std::set<ObjectId> objects) {
  checkpoints_.insert_or_assign(checkpoint, std::move(objects));
}

Task<Result<std::set<ObjectId>>> ReferenceReader::read(Sources sources,
                                                       std::vector<const LaneFacts*> lanes) {
  std::set<ObjectId> live;
  std::map<ObjectId, std::set<ObjectId>> used;
  for (const LaneFacts* lane : lanes) {
    const uint64_t number = lane->record.checkpoint;
    if (number == 0) continue;
    // A delta names new extents, which are in its own object.
    for (auto at = lane->objects.lower_bound(number); at != lane->objects.end(); ++at)
      live.insert({lane->lane, at->first});
    const ObjectId id{lane->lane, number};
    auto known = checkpoints_.extract(id);
    if (known.empty()) {
      const auto record = lane->objects.find(number);
      if (record == lane->objects.end())
        co_return fail(Code::corrupt,
                       fmt::format("lane {} has no record of its checkpoint, object {}",
                                   lane->lane.to_string(), number));
      CO_TRY(const Directory directory, co_await load_directory(sources, id, record->second));
      std::set<ObjectId> named;
      for (const DirectoryRecord& one : directory.records)
        for (const Extent& extent : one.extents) named.insert(extent.object);
      checkpoints_.emplace(id, std::move(named));
      known = checkpoints_.extract(id);
    }
    live.insert(known.mapped().begin(), known.mapped().end());
    used.insert(std::move(known));
  }
  checkpoints_ = std::move(used);  // those of no lane in force are never asked for again
  co_return live;
}

}  // namespace paceline::stream
