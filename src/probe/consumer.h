#pragma once

#include <map>
#include <optional>

#include "probe/client.h"
#include "probe/reading.h"
#include "probe/stage.h"

namespace paceline::probe {

// Reads records and writes the ledger's rows of them: as a member of a group, or the partitions
// that it is told. It lives more than once, as a sender does; one that was told its partitions goes
// on where it was.
class Consumer {
 public:
  struct Role {
    std::string name, kind;  // as run.json has them
    std::string group;       // empty: by assignment
    std::vector<Part> parts;
    Settings settings;
    // Whose lag what it reads diminishes.
    const std::string& reader() const { return group.empty() ? name : group; }
  };
  using Hear = std::function<void(const evidence::LedgerRow&)>;

  Consumer(Stage& stage, Role role, Hear hear);
  ~Consumer() { stop(); }

  Result<void> start();  // the next life. REQUIRES: !alive()
  void stop();           // at once; its group has to find out
  // Begins to commit and to leave its group, and stops once that is done.
  void leave();
  bool alive() const { return client_ != nullptr; }
  void poll();
  // Whether this life has read anything, or knows that it has nothing to read.
  bool is_at_work() const { return at_work_; }
  const Role& role() const { return role_; }

 private:
  Result<void> assign();
  Result<void> subscribe();
  void record(const rd_kafka_message_t& message);
  void rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions);
  void error(rd_kafka_resp_err_t code, const std::string& text, bool fatal);

  Stage& stage_;
  const Role role_;
  const Hear hear_;
  uint16_t index_ = 0;
  std::unique_ptr<Client> client_;
  std::map<Part, int64_t> positions_;
  bool at_work_ = false;
  bool leaving_ = false;
  bool dead_ = false;
  std::optional<env::Instant> revival_;
};

}  // namespace paceline::probe
