#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "judge/dossier.h"

namespace paceline::judge {

// What the ledger says of one record, from all its rows.
struct Record {
  enum class Outcome : uint8_t { unknown, acked, failed };
  uint16_t client = 0;
  uint64_t seq = 0;
  Outcome outcome = Outcome::unknown;
  bool told = false;  // its outcome, even if that is unknown
  bool sent = false;
  bool damaged = false;
  int64_t intended_ns = 0, sent_ns = 0, told_ns = 0;
  int32_t broker = -1, epoch = -1, error = 0;
  int64_t offset = -1;
  int64_t amount = 0;
  uint32_t reads = 0;         // by consumers
  uint32_t read_back = 0;     // at different offsets
  int64_t read_back_at = -1;  // the first of them

  bool acked() const { return outcome == Outcome::acked; }
};

// A row of a reader.
struct Read {
  uint16_t client = 0;
  uint16_t reader = 0;
  uint64_t seq = 0;
  int64_t offset = -1;
  int32_t epoch = -1;
  int64_t at_ns = 0;
};

// What one client sent to one partition, by seq.
struct Stream {
  uint16_t client = 0;
  std::vector<Record> records;
  std::vector<const Record*> by_ack;  // the acknowledged ones in the order of time
};

// A client that ends and begins again is another one, `producer-1/2` after `producer-1`: all lives
// of one together, as who waits for an answer sees it. In the order of lives.
struct Player {
  std::string name;     // of the first life
  uint16_t client = 0;  // the last life
  std::vector<const Record*> records;
  std::vector<const Record*> by_ack;
};

// `producer-1` of `producer-1/2`.
std::string first_life_of(const std::string& name);

struct PartitionLog {
  uint16_t topic = 0;
  int32_t partition = 0;
  std::map<uint16_t, Stream> streams;  // by client
  std::vector<Read> reads;             // by consumers, in the order of time
  std::vector<Read> read_back;         // by offset
  int64_t read_back_end = -1;          // the highest offset of them
  std::vector<Player> players;         // who sent
};

using LogKey = std::pair<uint16_t, int32_t>;  // topic, partition
using Logs = std::map<LogKey, PartitionLog>;

// What of the ledger belongs to no record.
struct Strays {
  uint64_t strangers = 0;  // rows of clients or topics that run.json does not name
  uint64_t damaged = 0;    // records that came back so that nobody knows whose they were
};
Logs logs_of(const Dossier& dossier, Strays& strays);

}  // namespace paceline::judge
