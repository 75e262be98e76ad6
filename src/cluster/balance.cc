#include "cluster/balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace paceline::cluster {
namespace {

// What the plan has come to so far.
class Balance {
 public:
  Balance(const std::vector<BalanceBroker>& brokers,
          const std::vector<BalancePartition>& partitions)
      : brokers_(brokers), partitions_(partitions) {
    double load = 0;
    for (const BalancePartition& partition : partitions) load += partition.load;
    double capacity = 0;
    for (const BalanceBroker& broker : brokers) capacity += broker.capacity;
    for (const BalanceBroker& broker : brokers)
      sides_[broker.id].share = {broker.id, 0, 0, 0, capacity > 0 ? broker.capacity / capacity : 0};
    const double each = partitions.empty() ? 0 : 1.0 / static_cast<double>(partitions.size());
    for (size_t i = 0; i < partitions.size(); ++i) {
      weights_.push_back(load > 0 ? (each + partitions[i].load / load) / 2 : each);
      if (sides_.contains(partitions[i].leader)) add(partitions[i].leader, i);
    }
  }

  std::vector<BalanceShare> shares() const {
    std::vector<BalanceShare> out;
    for (const auto& [id, side] : sides_) out.push_back(side.share);
    return out;
  }

  void restore(size_t moves_max) {
    for (size_t i = 0; i < partitions_.size() && moves_.size() < moves_max; ++i) {
      const BalancePartition& partition = partitions_[i];
      if (!partition.may_move || partition.preferred.empty()) continue;
      const BrokerId home = partition.preferred.front();
      const auto at_home = sides_.find(home);
      if (home == partition.leader || at_home == sides_.end()) continue;
      if (at_home->second.share.due <= 0 || !sides_.contains(partition.leader)) continue;
      move(i, home, fmt::format("broker {} is its preferred leader", home.value));
    }
  }

  void level(const BalanceBounds& bounds) {
    while (moves_.size() < bounds.moves_max) {
      std::vector<BrokerId> order;  // the fullest first
      for (const auto& [id, side] : sides_) order.push_back(id);
      std::ranges::sort(order, {}, [&](BrokerId id) { return std::pair(-fullness(id), id); });
      if (order.size() < 2) return;
      // Those that are to lead nothing are full with one partition and never empty.
      const BrokerId emptiest = *std::find_if(order.rbegin(), order.rend(), [&](BrokerId id) {
        return sides_.at(id).share.due > 0 || id == order.front();
      });
      if (fullness(order.front()) <= 1 + bounds.tolerance &&
          fullness(emptiest) >= 1 - bounds.tolerance)
        return;
      if (!give_from_any(order, emptiest)) return;
    }
  }

  std::vector<BalanceMove> take() { return std::move(moves_); }

 private:
  struct Side {
    BalanceShare share;
    std::vector<size_t> led;
  };

  void add(BrokerId to, size_t i) {
    Side& side = sides_.at(to);
    side.led.push_back(i);
    ++side.share.leaders;
    side.share.load += partitions_[i].load;
    side.share.share += weights_[i];
  }

  // 1: just its share.
  double fullness(BrokerId id) const {
    const BalanceShare& share = sides_.at(id).share;
    if (share.due > 0) return share.share / share.due;
    return share.leaders > 0 ? 1e9 : 1;
  }

  bool give_from_any(const std::vector<BrokerId>& order, BrokerId to) {
    for (BrokerId from : order) {
      if (from == to || fullness(from) <= fullness(to)) return false;
      if (const auto which = best(from, to)) {
        move(*which, to,
             fmt::format("broker {} has {:.0f} % of its share and broker {} {:.0f} %; this "
                         "partition is {:.2f} % of all",
                         from.value, std::min(fullness(from), 99.99) * 100, to.value,
                         fullness(to) * 100, weights_[*which] * 100));
        return true;
      }
    }
    return false;
  }

  // The partition that levels the two best: the heaviest up to half of what is between them, or the
  // lightest above that which still leaves the receiver below where the giver was.
  std::optional<size_t> best(BrokerId from, BrokerId to) const {
    const BalanceShare& giver = sides_.at(from).share;
    const BalanceShare& taker = sides_.at(to).share;
    if (taker.due <= 0) return std::nullopt;
    const double ideal =
        (giver.share * taker.due - taker.share * giver.due) / (giver.due + taker.due);
    std::optional<size_t> found;
    for (size_t i : sides_.at(from).led) {
      if (!partitions_[i].may_move || moved_.contains(i)) continue;
      if ((taker.share + weights_[i]) / taker.due >= fullness(from)) continue;
      if (!found || better(i, *found, ideal, to)) found = i;
    }
    return found;
  }

  bool better(size_t one, size_t other, double ideal, BrokerId to) const {
    const bool one_fits = weights_[one] <= ideal;
    const bool other_fits = weights_[other] <= ideal;
    if (one_fits != other_fits) return one_fits;
    if (weights_[one] != weights_[other])
      return one_fits ? weights_[one] > weights_[other] : weights_[one] < weights_[other];
    return knows(one, to) && !knows(other, to);
  }

  bool knows(size_t i, BrokerId to) const {
    const auto& preferred = partitions_[i].preferred;
    return std::ranges::find(preferred, to) != preferred.end();
  }

  void move(size_t i, BrokerId to, std::string reason) {
    const BalancePartition& partition = partitions_[i];
    Side& giver = sides_.at(partition.leader);
    std::erase(giver.led, i);
    --giver.share.leaders;
    giver.share.share -= weights_[i];
    giver.share.load -= partition.load;
    add(to, i);
    moved_.insert(i);
    moves_.push_back({partition.stream, partition.leader, to,
                      prefer(to, partition.preferred, brokers_), std::move(reason)});
  }

  const std::vector<BalanceBroker>& brokers_;
  const std::vector<BalancePartition>& partitions_;
  std::vector<double> weights_;
  std::map<BrokerId, Side> sides_;
  std::set<size_t> moved_;
  std::vector<BalanceMove> moves_;
};

}  // namespace

std::vector<BrokerId> prefer(BrokerId to, const std::vector<BrokerId>& preferred,
                             const std::vector<BalanceBroker>& brokers) {
  std::vector<BrokerId> out{to};
  for (BrokerId id : preferred)
    if (id != to) out.push_back(id);
  auto rack_of = [&](BrokerId id) -> std::string_view {
    auto found = std::ranges::find(brokers, id, &BalanceBroker::id);
    return found == brokers.end() ? std::string_view{} : std::string_view(found->rack);
  };
  while (out.size() > std::max<size_t>(preferred.size(), 1)) {
    auto goes = out.end() - 1;
    for (auto one = out.end() - 1; one != out.begin(); --one) {
      const std::string_view rack = rack_of(*one);
      if (!rack.empty() && std::ranges::count(out, rack, rack_of) > 1) {
        goes = one;
        break;
      }
    }
    out.erase(goes);
  }
  return out;
}

std::vector<BalanceShare> balance_shares(const std::vector<BalanceBroker>& brokers,
                                         const std::vector<BalancePartition>& partitions) {
  return Balance(brokers, partitions).shares();
}

std::vector<BalanceMove> plan_balance(const std::vector<BalanceBroker>& brokers,
                                      const std::vector<BalancePartition>& partitions,
                                      const BalanceBounds& bounds) {
  Balance balance(brokers, partitions);
  balance.restore(bounds.moves_max);
  balance.level(bounds);
  return balance.take();
}

}  // namespace paceline::cluster
