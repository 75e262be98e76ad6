#pragma once

#include "probe/schedule.h"
#include "probe/sender.h"

namespace paceline::probe {

// The partitions of all topics of a role, in the order of topics.
std::vector<Part> parts_of(const Options& options, std::string_view role);
// One of `of` shares of them, dealt out in turn, in an order that follows from the seed.
std::vector<Part> share_of(std::vector<Part> parts, uint64_t seed, size_t which, size_t of);

// Sends records to its partitions, one after the other, by the clock: an open loop, which does not
// go slower because the cluster does. A bystander is one with a topic of its own.
class Producer {
 public:
  // `interval_ns` between two records. REQUIRES: there are parts.
  Producer(Stage& stage, Sender::Role role, std::vector<Part> parts, int64_t start_ns,
           int64_t interval_ns, Sender::Hear hear);

  void turn();  // once a millisecond
  void rest() { schedule_.rest(); }
  void go_on() { schedule_.go_on(stage_.teller.now_ns()); }
  Sender& sender() { return sender_; }
  const Sender& sender() const { return sender_; }
  // Since when the oldest record waits that is not answered, sent or not.
  std::optional<int64_t> waits_since_ns() const;

 private:
  Stage& stage_;
  const std::vector<Part> parts_;
  Schedule schedule_;
  Sender sender_;
  size_t next_part_ = 0;
};

}  // namespace paceline::probe
