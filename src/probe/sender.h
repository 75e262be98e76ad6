#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "probe/client.h"
#include "probe/outbox.h"
#include "probe/stage.h"

namespace paceline::probe {

// What became of a record, from what the library says when it delivers it. Pure.
Outbox::Answer answer_of(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status, int64_t offset,
                         int32_t broker);

// Sends records and writes the ledger's rows of them. It lives more than once: a life ends by
// stop(), or by an error after which the library refuses to go on; then the next one begins a
// second later. Each life is a client of its own.
class Sender {
 public:
  struct Role {
    std::string name, kind;  // as run.json has them
    std::string topic;       // likewise, if it is one
    Settings settings;
    bool transactional = false;
  };
  using Hear = std::function<void(const evidence::LedgerRow&)>;

  // `hear` is told of every row, after the ledger.
  Sender(Stage& stage, Role role, Hear hear);
  ~Sender() { end(true); }

  Result<void> start();  // the next life. REQUIRES: !alive()
  // What is not answered may be there; that is no error, since it is our doing.
  void stop();
  void give_up() { dead_ = true; }  // this life ends with the next poll
  bool alive() const { return client_ != nullptr; }
  // Hears of what was delivered; begins the next life when that is due.
  void poll();

  // False: not now, the library's queue is full or nobody lives. The record must come again.
  bool send(const Outbox::Record& record);

  // Of a transactional one: until it is settled, nobody knows whether what was acknowledged counts.
  void settle(evidence::LedgerRow::Kind kind);
  Client& client() { return *client_; }
  const std::string& name() const { return role_.name; }

  size_t unanswered() const;
  std::optional<int64_t> oldest_ns() const;
  // Whether this life has been acknowledged anything.
  bool was_acknowledged() const { return acknowledged_; }

 private:
  void delivered(const rd_kafka_message_t& message);
  void told(const evidence::LedgerRow& row);
  void end(bool by_us);
  void error(rd_kafka_resp_err_t code, const char* text, bool fatal);

  Stage& stage_;
  const Role role_;
  const Hear hear_;
  uint16_t index_ = 0;
  std::unique_ptr<Client> client_;
  std::optional<Outbox> outbox_;
  std::vector<evidence::LedgerRow> held_;
  bool acknowledged_ = false;
  bool dead_ = false;
  std::optional<env::Instant> revival_;
};

}  // namespace paceline::probe
