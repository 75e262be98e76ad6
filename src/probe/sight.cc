#include "probe/sight.h"

namespace paceline::probe {

std::vector<Sight::News> Sight::told(const std::string& address, const Answer& answer) {
  for (const Broker& broker : answer.brokers) brokers_[broker.id] = broker.address;
  std::vector<News> news;
  auto& said = said_[address];
  for (const auto& [partition, leader] : answer.leaders) {
    if (leader.broker < 0) continue;
    const auto [before, first] = said.try_emplace(partition, leader);
    if (!first && (leader.epoch < before->second.epoch || leader == before->second)) continue;
    before->second = leader;
    const auto newest = newest_.find(partition);
    const bool known = newest != newest_.end();
    // Another leader under the same epoch is news whoever says it.
    const bool other = known && leader.epoch >= 0 && leader.epoch == newest->second.epoch &&
                       leader.broker != newest->second.broker;
    if (first && known && leader.epoch <= newest->second.epoch && !other) continue;
    news.push_back({partition, leader});
    if (known && (leader.epoch < newest->second.epoch || leader == newest->second)) continue;
    if (known) unserved_[newest->second.broker].erase(partition);
    newest_[partition] = leader;
    unserved_[leader.broker].insert(partition);
  }
  return news;
}

std::vector<Sight::News> Sight::to_ask(int32_t broker) const {
  std::vector<News> questions;
  const auto unserved = unserved_.find(broker);
  if (unserved == unserved_.end()) return questions;
  for (const Partition& partition : unserved->second)
    questions.push_back({partition, newest_.at(partition)});
  return questions;
}

bool Sight::served(int32_t broker, const Partition& partition, int32_t epoch) {
  const auto newest = newest_.find(partition);
  if (newest == newest_.end() || newest->second != Leader{broker, epoch}) return false;
  return unserved_[broker].erase(partition) > 0;
}

}  // namespace paceline::probe
