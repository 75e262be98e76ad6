#pragma once

#include <memory>

#include "env/random.h"
#include "probe/schedule.h"
#include "probe/sender.h"
#include "probe/transfer_book.h"

namespace paceline::probe {

// Moves amounts between accounts: the load that has a meaning. Two records a transfer, in a
// transaction together with others that are due, or each for itself where there are none.
class Transfers {
 public:
  Transfers(Stage& stage, std::vector<Part> parts, Sender::Role role, TransferBook& book,
            int64_t start_ns, int64_t interval_ns);
  ~Transfers();

  Result<void> start();
  void stop();
  void turn();  // once a millisecond
  void rest() { schedule_.rest(); }
  void go_on() { schedule_.go_on(stage_.teller.now_ns()); }
  Sender& sender() { return sender_; }
  const Sender& sender() const { return sender_; }
  std::optional<int64_t> waits_since_ns() const;
  bool half_sent() const { return due_.has_value(); }

  // What is to be done after a call of the library about transactions.
  enum class Outcome { done, again, abort, over };
  using LibraryCall = rd_kafka_error_t* (*)(rd_kafka_t*, int timeout_ms);

 private:
  // What a task of transactions shares with us; it may end later than we do.
  struct Life {
    bool over = false;
  };
  bool send_due();  // false: nothing more can be sent now
  bool send_leg(uint32_t account, int64_t amount);
  void end_life();
  static Task<Outcome> settled(Transfers* self, std::shared_ptr<Life> life, LibraryCall call);
  static Task<void> run_transactions(Transfers* self, std::shared_ptr<Life> life);
  // One transaction of all that is due. False: this life of the client is over.
  static Task<bool> run_one(Transfers* self, std::shared_ptr<Life> life);

  Stage& stage_;
  const std::vector<Part> parts_;
  const bool transactional_;
  Schedule schedule_;
  Sender sender_;
  env::Random random_;
  // Of the transfer that is due: its legs are sent one after the other.
  struct Due {
    uint32_t from = 0, to = 0;
    int64_t amount = 0;
    bool paid = false;
  };
  std::optional<Due> due_;
  std::shared_ptr<Life> life_;
};

}  // namespace paceline::probe
