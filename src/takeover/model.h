#pragma once

#include <array>
#include <vector>

#include "takeover/explorer.h"
#include "takeover/rules.h"
#include "takeover/state.h"

namespace paceline::takeover {

// How much may happen. Within it everything that may happen is explored, in every order.
struct Budget {
  int brokers = 2;
  int lanes = 3;  // the first ones and one for each restart
  int partitions = 1;
  std::array<int, kPartitionsMax> leaders{0, 0};  // at first
  int values = 2;                                 // batches that clients send
  int flights = 2;                                // PUTs of a writer on their way
  int crashes = 1;
  int clones = 0;               // a broker is started again while it still runs
  int retries = 0;              // of batches without an answer
  int moves = 0;                // that are begun
  bool objects = false;         // which object holds what is followed, and objects are collected
  int rewrites = 0;             // compactions: an object of all that a lane's streams have
  int preferences = 0;          // changes of a partition's preferred broker
  int sleeps = 0;               // a process stands still past the deadline of its requests
  int losses = 0;               // answers that are lost: of PUTs and commits
  bool false_suspicion = true;  // a running broker may be fenced
};

// The takeover protocol: design 5.2, 5.3 and 5.6 to 5.9. Two or three brokers with incarnations, a
// metadata store with transactions, a log of slots a lane, objects, collection, planned moves.
// Zombies need no action of their own: a process that is fenced goes on until it takes the step in
// which it notices, which it may never do.
class TakeoverModel : public Model {
 public:
  explicit TakeoverModel(Budget budget, Rules rules = {});

  std::string first() const override;
  void expand(std::string_view state, bool with_words, const Emit& emit) const override;
  std::optional<std::string> wrong(std::string_view state) const override;
  // Every partition is served by its leader, every sealed lane and every object that nobody needs
  // is collected.
  bool settled(std::string_view state) const override;

 private:
  Budget budget_;
  Rules rules_;
};

}  // namespace paceline::takeover
