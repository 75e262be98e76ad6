#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "evidence/event.h"

namespace paceline::probe {

// One round of the storm: who went, and when each was of use again. Pure.
class StormBook {
 public:
  struct Player {
    std::string name;
    bool in_group = false;  // which begins anew when all its members have gone, and takes its time
  };
  StormBook(int64_t began_ns, std::vector<Player> players);
  // It is at work again. The first time counts.
  void back(const std::string& name, int64_t at_ns);
  bool all_back() const { return took_ns_.size() == players_.size(); }
  // Adds value and figures of `refresh.done`; who is not back counts with all the time there was.
  void tell(evidence::Event& event, int64_t errors, int64_t now_ns) const;

 private:
  const int64_t began_ns_;
  const std::vector<Player> players_;
  std::map<std::string, int64_t> took_ns_;
};

}  // namespace paceline::probe
