#include "broker/load.h"

#include <cmath>
#include <utility>

namespace paceline::broker {
namespace {

constexpr double kSmoothOverS = 10;
// What several ask at about one time is measured once.
constexpr env::Duration kLookEvery = std::chrono::milliseconds(200);

}  // namespace

std::vector<StreamLoad> ShardLoad::look(env::Instant now, const Find& find) {
  const double passed = std::chrono::duration<double>(now - looked_).count();
  const bool fresh = now - looked_ >= kLookEvery;
  if (fresh) looked_ = now;
  const double follows = 1 - std::exp(-passed / kSmoothOverS);
  std::vector<StreamLoad> all;
  std::erase_if(busy_, [&](const StreamId& id) {
    PartitionLoad* load = find(id);
    if (!load) return true;
    if (fresh) {
      const double now_rate = static_cast<double>(std::exchange(load->bytes, 0)) / passed;
      // A partition that has just come here has no past.
      load->rate = load->rate < 0 ? now_rate : load->rate + (now_rate - load->rate) * follows;
    }
    if (load->rate >= 1) all.push_back({id, static_cast<uint64_t>(load->rate)});
    load->busy = load->rate >= 1 || load->bytes > 0;
    if (!load->busy) load->rate = 0;
    return !load->busy;
  });
  std::ranges::sort(all, {}, &StreamLoad::stream);
  return all;
}

}  // namespace paceline::broker
