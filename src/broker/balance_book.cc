#include "broker/balance_book.h"

#include <algorithm>

namespace paceline::broker {

void BalanceBook::follow(std::shared_ptr<const cluster::Image> image, env::Instant now) {
  std::erase_if(moved_, [&](const auto& one) { return now - one.second >= hold_; });
  if (image_ && image_ != image)
    for (const auto& [id, topic] : image->topics_by_id) {
      const auto found = image_->topics_by_id.find(id);
      if (found == image_->topics_by_id.end() || found->second == topic) continue;
      const auto& before = found->second->partitions;
      for (uint32_t index = 0; index < std::min(before.size(), topic->partitions.size()); ++index)
        if (before[index].leader != topic->partitions[index].leader) moved_[{id, index}] = now;
    }
  image_ = std::move(image);
}

void BalanceBook::observe(const std::vector<StreamLoad>& loads) {
  const auto before = std::exchange(loads_, {});
  for (const StreamLoad& one : loads) loads_[one.stream] += static_cast<double>(one.rate);
  for (const auto& [stream, moved] : moved_)
    if (const auto known = before.find(stream); known != before.end())
      loads_[stream] = std::max(loads_[stream], known->second);
}

std::vector<cluster::BalancePartition> BalanceBook::partitions(env::Instant now) const {
  std::vector<cluster::BalancePartition> all;
  for (const auto& [id, topic] : image_->topics_by_id)
    for (uint32_t index = 0; index < topic->partitions.size(); ++index) {
      const cluster::PartitionImage& partition = topic->partitions[index];
      all.push_back({{id, index}, partition.leader, partition.preferred, 0, true});
    }
  // Both are in the order of streams, as the maps are.
  auto load = loads_.begin();
  auto moved = moved_.begin();
  for (cluster::BalancePartition& one : all) {
    while (load != loads_.end() && load->first < one.stream) ++load;
    while (moved != moved_.end() && moved->first < one.stream) ++moved;
    if (load != loads_.end() && load->first == one.stream) one.load = load->second;
    if (moved != moved_.end() && moved->first == one.stream)
      one.may_level = now - moved->second >= hold_;
  }
  return all;
}

}  // namespace paceline::broker
