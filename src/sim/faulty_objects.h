#pragma once

#include <memory>

#include "env/random.h"
#include "object/object.h"

namespace paceline::sim {

// What the simulated object store does to everybody. Chances are of each call.
struct ObjectFaults {
  double refuse = 0;         // 503: nothing happened
  double lose_answer = 0;    // it happened, the caller hears of a time-out
  double conflict = 0;       // a put is told 409: another one of its key is under way, or was
  double flip = 0;           // one bit of a body that is read
  double cut = 0;            // a body that is read ends early
  double forget_listed = 0;  // of each listed object: this listing does not know it
  double slow = 0;
  env::Duration slow_max = std::chrono::seconds(3);
  bool gone = false;  // as refuse = 1
  // A burst of 503 and 409; of what happens yet, many an answer is lost, so that the retry of a put
  // finds what it has put itself.
  bool troubled = false;
};

// A store that keeps its promises of durability and of names, and no other: between the broker and
// the real one. `faults` outlives it and may change at any time. One thread.
std::unique_ptr<object::Store> make_faulty_objects(std::unique_ptr<object::Store> real,
                                                   const ObjectFaults& faults, uint64_t seed);

}  // namespace paceline::sim
