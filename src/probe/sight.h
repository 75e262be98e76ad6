#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace paceline::probe {

// What brokers say of who leads, each asked for itself. Pure: answers in, news and questions out.
class Sight {
 public:
  using Partition = std::pair<std::string, int32_t>;  // topic, number
  struct Leader {
    int32_t broker = -1;
    int32_t epoch = -1;  // -1: the broker does not tell
    auto operator<=>(const Leader&) const = default;
  };
  struct Broker {
    int32_t id = -1;
    std::string address;  // HOST:PORT
  };
  struct Answer {
    std::vector<Broker> brokers;
    std::vector<std::pair<Partition, Leader>> leaders;
  };
  struct News {
    Partition partition;
    Leader leader;
  };

  // What the broker at this address says, and it has not said before. What it says first is no
  // news if others have said it. A lower epoch than it named before is a step back, and none
  // either; a partition without a leader is left out.
  std::vector<News> told(const std::string& address, const Answer& answer);

  // Partitions that this broker leads by what was said last, and of which it is not known that it
  // serves them in this epoch.
  std::vector<News> to_ask(int32_t broker) const;
  // It was asked, and serves it. True: for the first time in this epoch.
  bool served(int32_t broker, const Partition& partition, int32_t epoch);

  // Everybody who was ever named, and where last.
  const std::map<int32_t, std::string>& brokers() const { return brokers_; }

 private:
  std::map<int32_t, std::string> brokers_;
  std::map<std::string, std::map<Partition, Leader>> said_;  // by the address asked
  std::map<Partition, Leader> newest_;                       // of all of them
  std::map<int32_t, std::set<Partition>> unserved_;          // by the broker that leads
};

}  // namespace paceline::probe
