#pragma once

#include <memory>

#include "meta/store.h"

namespace paceline::sim {

// The way between one machine and the metadata, each direction on its own. Changed by whoever
// drives the world.
struct MetadataWay {
  bool there = true;
  bool back = true;
  double lag = 0;  // of what a watch tells: it comes up to two seconds later than by other watches
  bool whole() const { return there && back; }
};

// The store as a machine sees it that may be cut off: what is asked and cannot go there never
// happens, what cannot come back may have happened, and neither is ever answered; watches tell
// nothing until the way is whole again, and then everything.
std::unique_ptr<meta::Store> behind(std::unique_ptr<meta::Store> store,
                                    std::shared_ptr<const MetadataWay> way);

}  // namespace paceline::sim
