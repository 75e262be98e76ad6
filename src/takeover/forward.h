#pragma once

#include <array>
#include <cstdint>

#include "takeover/explorer.h"
#include "takeover/rules.h"

namespace paceline::takeover {

struct ForwardBudget {
  int brokers = 2;
  int values = 3;          // that the producer sends, in this order
  int attempts = 2;        // for each
  int in_flight = 2;       // requests of the producer
  bool idempotent = true;  // it numbers its batches
  int moves = 2;
  int fences = 0;    // of the leader, by another broker
  int cuts = 0;      // a connection between brokers is lost, with what is on it
  int timeouts = 0;  // the producer waits no longer, and closes a connection
};

// Forwarding after planned moves: one partition, one producer with a connection to each broker, and
// a connection between brokers for each of those. How leadership moves is TakeoverModel's; here a
// move is committed in one step, and a fenced leader can store nothing.
class ForwardModel : public Model {
 public:
  explicit ForwardModel(ForwardBudget budget, Rules rules = {});

  std::string first() const override;
  void expand(std::string_view state, bool with_words, const Emit& emit) const override;
  std::optional<std::string> wrong(std::string_view state) const override;
  // Every batch is acknowledged or has been tried as often as the budget allows, and nobody waits.
  bool settled(std::string_view state) const override;

 private:
  ForwardBudget budget_;
  Rules rules_;
};

}  // namespace paceline::takeover
