#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"

namespace paceline::client {

// Reads the topic of events, from whichever broker leads it now. All errors pass with a call of
// find(), but for not_found.
class EventTail {
 public:
  // `bootstrap`: brokers, HOST:PORT, with commas between them.
  EventTail(env::Shard& shard, const std::string& bootstrap);

  // Connects to the leader, asking all brokers that are known. not_found: there is no such topic.
  Task<Result<void>> find();
  // The rest REQUIRES that find() has succeeded since the last error. The first offset at or after
  // a time, or of all there are.
  Task<Result<int64_t>> offset_since(std::optional<int64_t> time_ms);
  struct Some {
    std::vector<std::string> values;
    int64_t next = 0;
    bool at_end = false;
  };
  // Waits so long for something to be there.
  Task<Result<Some>> read(int64_t from, int32_t wait_ms);

 private:
  Task<Result<void>> find_from(std::string address);
  Result<Some> take(const std::string& records, int64_t from) const;

  env::Shard& shard_;
  const std::vector<std::string> bootstrap_;
  std::vector<std::string> known_;  // as brokers told
  std::unique_ptr<Client> leader_;
};

}  // namespace paceline::client
