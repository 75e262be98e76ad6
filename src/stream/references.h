#pragma once

#include <map>
#include <set>
#include <vector>

#include "stream/recover.h"

namespace paceline::stream {

// Which objects somebody needs, as metadata and directories say. References spread from lane to
// lane only by adoptions and by inheritance, and each lane names all that its streams need: so an
// object that no lane in force refers to, at one moment, is garbage for ever.

// Lanes whose directories count: the open ones, and sealed ones that somebody has yet to take over
// from. REQUIRES: all lanes of the cluster.
std::vector<const LaneFacts*> lanes_in_force(const std::vector<LaneFacts>& all);

// Whether no reference can have spread from one lane to another between two looks at all lanes.
// Uploads in between do not matter.
bool same_hands(const std::vector<LaneFacts>& one, const std::vector<LaneFacts>& other);

// Reads what lanes refer to. A checkpoint never changes, so each is read once.
class ReferenceReader {
 public:
  // Known already: a checkpoint's.
  void know(ObjectId checkpoint, std::set<ObjectId> objects);
  // All objects that the lanes' directories name, and those directories.
  Task<Result<std::set<ObjectId>>> read(Sources sources, std::vector<const LaneFacts*> lanes);

 private:
  std::map<ObjectId, std::set<ObjectId>> checkpoints_;
};

}  // namespace paceline::stream
