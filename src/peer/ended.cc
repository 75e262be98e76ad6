#include "peer/ended.h"

#include "peer/frame.h"

namespace paceline::peer {

std::string encode_ended(const Uuid& cluster_id, Lane lane, int32_t status) {
  return encode_frame(Ended{cluster_id, lane, status});
}

}  // namespace paceline::peer
