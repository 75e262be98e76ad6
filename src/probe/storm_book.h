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
  StormBook(int64_t began_ns, std::vector<std::string> clients);
  // It has been acknowledged or has read something again. The first time counts.
  void back(const std::string& client, int64_t at_ns);
  bool all_back() const { return took_ns_.size() == clients_.size(); }
  // Adds value and figures of `refresh.done`; who is not back counts with all the time there was.
  void tell(evidence::Event& event, int64_t errors, int64_t now_ns) const;

 private:
  const int64_t began_ns_;
  const std::vector<std::string> clients_;
  std::map<std::string, int64_t> took_ns_;
};

}  // namespace paceline::probe
