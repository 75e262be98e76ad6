#include "cluster/balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace paceline::cluster {
namespace {

// Further off than any broker that is to lead something.
constexpr double kHopeless = 1e9;

// What the plan has come to so far.
class Balance {
 public:
  Balance(const std::vector<BalanceBroker>& brokers,
          const std::vector<BalancePartition>& partitions, const BalanceBounds& bounds)
      : brokers_(brokers),
        partitions_(partitions),
        bounds_(bounds),
        each_(partitions.empty() ? 0 : 1.0 / static_cast<double>(partitions.size())),
        moved_(partitions.size()) {
    double capacity = 0;
    for (const BalanceBroker& broker : brokers) capacity += broker.capacity;
    for (const BalanceBroker& broker : brokers) {
      index_.emplace(broker.id, sides_.size());
      Side& side = sides_.emplace_back();
      side.share.broker = broker.id;
      side.share.due = capacity > 0 ? broker.capacity / capacity : 0;
    }
    double load = 0;
    for (const BalancePartition& partition : partitions) load += partition.load;
    if (load > 0)
      load_counts_ = load / (load + bounds.light_load * static_cast<double>(brokers.size()));
    loads_.reserve(partitions.size());
    for (uint32_t i = 0; i < partitions.size(); ++i) {
      loads_.push_back(load > 0 ? partitions[i].load / load : 0);
      if (const auto found = index_.find(partitions[i].leader); found != index_.end())
        add(sides_[found->second], i);
    }
  }

  std::vector<BalanceShare> shares() const {
    std::vector<BalanceShare> out;
    for (const Side& side : sides_) {
      out.push_back(side.share);
      out.back().share = (side.count + load_counts_ * side.load) / (1 + load_counts_);
    }
    return out;
  }

  void restore() {
    for (uint32_t i = 0; i < partitions_.size() && moves_.size() < bounds_.moves_max; ++i) {
      const BalancePartition& partition = partitions_[i];
      if (partition.preferred.empty() || partition.preferred.front() == partition.leader) continue;
      const auto home = index_.find(partition.preferred.front());
      const auto leader = index_.find(partition.leader);
      if (home == index_.end() || leader == index_.end()) continue;
      if (sides_[home->second].share.due <= 0) continue;
      move(i, leader->second, home->second,
           fmt::format("broker {} is its preferred leader", home->first.value));
    }
  }

  void level() {
    if (needs(bounds_.tolerance).empty()) return;
    while (moves_.size() < bounds_.moves_max) {
      bool moved = false;
      for (const Need& need : needs(bounds_.tolerance / 2))
        if ((moved = meet(need))) break;
      if (!moved) return;
    }
  }

  std::vector<BalanceMove> take() { return std::move(moves_); }

 private:
  struct Side {
    BalanceShare share;
    double count = 0;  // of all partitions
    double load = 0;   // of all load
    std::vector<uint32_t> led;
  };
  // A side is too far from its share of one of both.
  struct Need {
    size_t side;
    bool of_load;
    double off;  // below 0: it has too little
  };

  void add(Side& side, uint32_t i) {
    side.led.push_back(i);
    ++side.share.leaders;
    side.share.load += partitions_[i].load;
    side.count += each_;
    side.load += loads_[i];
  }
  void remove(Side& side, uint32_t i) {
    std::erase(side.led, i);
    --side.share.leaders;
    side.share.load -= partitions_[i].load;
    side.count -= each_;
    side.load -= loads_[i];
  }

  // 1: just its share.
  double fullness(const Side& side, bool of_load) const {
    const double has = of_load ? side.load : side.count;
    if (side.share.due > 0) return has / side.share.due;
    return side.share.leaders > 0 ? kHopeless : 1;
  }

  // The worst first.
  std::vector<Need> needs(double tolerance) const {
    std::vector<Need> all;
    for (size_t i = 0; i < sides_.size(); ++i)
      for (bool of_load : {false, true}) {
        const double off = (fullness(sides_[i], of_load) - 1) * (of_load ? load_counts_ : 1);
        if (std::abs(off) > tolerance) all.push_back({i, of_load, off});
      }
    std::ranges::stable_sort(all, std::ranges::greater(),
                             [](const Need& need) { return std::abs(need.off); });
    return all;
  }

  // By one move, with whoever differs most from it.
  bool meet(const Need& need) {
    std::vector<size_t> others;
    for (size_t i = 0; i < sides_.size(); ++i)
      if (i != need.side) others.push_back(i);
    std::ranges::stable_sort(others, {}, [&](size_t i) {
      const double full = fullness(sides_[i], need.of_load);
      return need.off > 0 ? full : -full;
    });
    for (size_t other : others) {
      const size_t from = need.off > 0 ? need.side : other;
      const size_t to = need.off > 0 ? other : need.side;
      if (const auto which = best(from, to)) {
        move(*which, from, to, reason(from, to, need.of_load));
        return true;
      }
    }
    return false;
  }

  std::string reason(size_t from, size_t to, bool of_load) const {
    const Side& giver = sides_[from];
    const Side& taker = sides_[to];
    if (giver.share.due <= 0)
      return fmt::format("broker {} is to lead nothing", giver.share.broker.value);
    return fmt::format("broker {} has {:.0f} % of the {} due to it and broker {} {:.0f} %",
                       giver.share.broker.value, fullness(giver, of_load) * 100,
                       of_load ? "load" : "partitions", taker.share.broker.value,
                       fullness(taker, of_load) * 100);
  }

  // How much closer one quantity of giver and taker comes to what is due, by the squares of what is
  // between, if `part` of it moves.
  static double gain(double giver, double giver_due, double taker, double taker_due, double part) {
    const double above = giver - giver_due;
    const double below = taker_due - taker;
    return part * ((2 * above - part) / giver_due + (2 * below - part) / taker_due);
  }

  // The partition that brings the two closest to what is due to them, if it is worth it.
  std::optional<uint32_t> best(size_t from, size_t to) const {
    const Side& giver = sides_[from];
    const Side& taker = sides_[to];
    if (taker.share.due <= 0) return std::nullopt;
    const bool leaves = giver.share.due <= 0;
    const double giver_due = leaves ? taker.share.due : giver.share.due;
    const double of_count =
        leaves ? 0 : gain(giver.count, giver_due, taker.count, taker.share.due, each_);
    std::optional<uint32_t> found;
    double most = 0;
    for (uint32_t i : giver.led) {
      if (moved_[i] || (!leaves && !partitions_[i].may_level)) continue;
      const double load = loads_[i];
      const double gained =
          of_count + load_counts_ * gain(giver.load, giver_due, taker.load, taker.share.due, load);
      if (!leaves && gained < bounds_.tolerance * (each_ + load_counts_ * load)) continue;
      if (found && gained < most) continue;
      if (found && gained == most && (knows(*found, to) || !knows(i, to))) continue;
      found = i;
      most = gained;
    }
    return found;
  }

  bool knows(uint32_t i, size_t to) const {
    return std::ranges::find(partitions_[i].preferred, sides_[to].share.broker) !=
           partitions_[i].preferred.end();
  }

  void move(uint32_t i, size_t from, size_t to, std::string reason) {
    const BalancePartition& partition = partitions_[i];
    remove(sides_[from], i);
    add(sides_[to], i);
    moved_[i] = true;
    const BrokerId target = sides_[to].share.broker;
    moves_.push_back({partition.stream, partition.leader, target,
                      prefer(target, partition.preferred, brokers_), std::move(reason)});
  }

  const std::vector<BalanceBroker>& brokers_;
  const std::vector<BalancePartition>& partitions_;
  const BalanceBounds& bounds_;
  const double each_;
  double load_counts_ = 0;
  std::vector<double> loads_;  // of all load
  std::map<BrokerId, size_t> index_;
  std::vector<Side> sides_;
  std::vector<bool> moved_;
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
                                         const std::vector<BalancePartition>& partitions,
                                         const BalanceBounds& bounds) {
  return Balance(brokers, partitions, bounds).shares();
}

std::vector<BalanceMove> plan_balance(const std::vector<BalanceBroker>& brokers,
                                      const std::vector<BalancePartition>& partitions,
                                      const BalanceBounds& bounds) {
  Balance balance(brokers, partitions, bounds);
  balance.restore();
  balance.level();
  return balance.take();
}

}  // namespace paceline::cluster
