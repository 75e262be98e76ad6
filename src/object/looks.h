#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "env/backoff.h"

// Pure.

namespace paceline::object {

// Tells bytes that are damaged where they lie from bytes that were damaged on their way here. What
// lies there is the same at every look; what happens on the way is not. The difference matters
// where damage has consequences that stay, so nobody decides by one look.
class Looks {
 public:
  // A fingerprint of what is not there at all.
  static constexpr uint32_t kAbsent = 0;
  // After so many looks that showed different damage it counts as well: few where somebody waits
  // and will ask again, many where nobody ever looks again.
  static constexpr int kForReader = 12;
  static constexpr int kForGood = 60;

  explicit Looks(int all) : left_(all) {}

  // This is what came, and it cannot be right. True once it counts as what lies there.
  bool settle(uint32_t fingerprint) {
    const int same = ++same_[fingerprint];
    return --left_ <= 0 || same == kSame;
  }
  // Between two looks. Seven take more than a second, which is also the time that a store gets to
  // show a young object.
  env::Duration pause(uint64_t random) { return backoff_.next(random); }

 private:
  // With one read of seven swapped for the same other body, one object of 100,000 would be judged
  // wrongly.
  static constexpr int kSame = 7;

  std::map<uint32_t, int> same_;
  int left_;
  env::Backoff backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(500)};
};

}  // namespace paceline::object
