#include "env/test_world.h"

namespace paceline::env {

std::unique_ptr<TestWorld> make_world(WorldKind kind, unsigned shards) {
  if (kind == WorldKind::sim) return std::make_unique<SimTestWorld>(shards);
  return std::make_unique<RealTestWorld>(shards);
}

}  // namespace paceline::env
