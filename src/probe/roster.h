#pragma once

#include <string>
#include <vector>

#include "probe/teller.h"

namespace paceline::probe {

// Who there is or was. Each life of a client is one of its own: its records count from 0 again.
class Roster {
 public:
  explicit Roster(const Teller& teller) : teller_(teller) {}

  // Whether there is room for one more: an index has 16 bits.
  bool full() const { return all_.size() >= kMax; }
  // REQUIRES: !full(). A name that was there before gets the number of its life: "producer-1/2".
  uint16_t add(evidence::Run::Client client);
  void ended(uint16_t index);
  // A client outside has said what it is.
  void is(uint16_t index, std::string library, std::string version);

  const std::vector<evidence::Run::Client>& all() const { return all_; }
  const std::string& name(uint16_t index) const { return all_.at(index).name; }

 private:
  static constexpr size_t kMax = 60'000;
  void tell(uint16_t index, const char* type);

  const Teller& teller_;
  std::vector<evidence::Run::Client> all_;
  std::vector<bool> ended_;
  std::map<std::string, int> lives_;
};

}  // namespace paceline::probe
