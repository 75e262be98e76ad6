#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "counters.h"
#include "loop.h"
#include "rules.h"

namespace paceline::proxy {

class Exchange;

// So many bytes a second, in steps of a few milliseconds. 0: as many as there are.
class Pace {
 public:
  void set(uint64_t bytes_per_s) {
    rate_ = bytes_per_s;
    tokens_ = 0;
  }
  size_t allowed(size_t wanted, uint64_t now_ms);
  void spend(size_t bytes) {
    if (rate_ > 0) tokens_ -= static_cast<double>(bytes);
  }

 private:
  uint64_t rate_ = 0;
  double tokens_ = 0;
  uint64_t last_ms_ = 0;
};

// What all exchanges know.
struct Shared {
  Shared(uint16_t store, std::vector<std::string> classes)
      : store_port(store), counters(std::move(classes)) {}

  Loop loop;
  uint16_t store_port;
  Rules rules;
  Counters counters;
  Pace to_store, from_store;
  bool hangs = false;  // an outage in which everything is taken and nothing answered
  // The beginning of the body of an object that was read last, for Fault::swap.
  std::string donor_key, donor;
  std::unordered_map<Exchange*, std::unique_ptr<Exchange>> exchanges;
};

}  // namespace paceline::proxy
