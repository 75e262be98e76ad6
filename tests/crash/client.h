#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "history/history.h"

// What the clients of the crash test share. Each runs in a process of its own, in one thread, and
// writes what it asked and was told to a file, as src/history/README.md describes.

namespace crash {

using paceline::history::History;
using paceline::history::Key;
using paceline::history::Time;
using paceline::history::Value;

constexpr uint32_t kGroup = 1;
constexpr const char* kGroupName = "crash-group";

struct Arguments {
  std::string file;  // of the history
  std::string stop;  // the client ends when this file is there
  std::string brokers;
  std::string topic;
  int partition_count = 0;
  long number = 0;  // of the client: a seed, and different for each
  long rate = 0;    // records a second that a producer sends at most
};

// Of the system's monotonic clock, as all clients use it.
Time now();

// A configuration, or the end of the process if the library does not know it.
void set(rd_kafka_conf_t* conf, const char* name, const std::string& value);
// What all clients have in common: quick reconnects, errors on stderr.
rd_kafka_conf_t* common_conf(const Arguments& arguments);

// The text of a value: the number, then bytes that follow from it. Mostly small, now and then
// large.
void write_payload(Value value, std::string& to);
// Nothing if it is no such text, whole.
std::optional<Value> read_payload(std::string_view text);

// The file: each event is with the kernel when add() returns.
class Notes {
 public:
  explicit Notes(const std::string& path);
  ~Notes();
  template <class What>
  void add(What what, Time invoked, Time told) {
    History one;
    one.add(std::move(what), invoked, told);
    write(one);
  }
  void violation(Key key, std::string what);

 private:
  void write(const History& one);
  FILE* file_;
};

// The records of some messages by partition, as polls of one reader.
class Polls {
 public:
  Polls(Notes& notes, uint32_t reader, uint32_t group, bool last)
      : notes_(notes), reader_(reader), group_(group), last_(last) {}
  void position(Key key, int64_t offset) { positions_[key] = offset; }
  void forget() { positions_.clear(); }
  // Where the next message of each assigned partition is due.
  const std::map<Key, int64_t>& positions() const { return positions_; }
  void take(const rd_kafka_message_t& message);
  void tell(Time invoked);  // what was taken since the last time

 private:
  Notes& notes_;
  const uint32_t reader_;
  const uint32_t group_;
  const bool last_;
  std::map<Key, int64_t> positions_;
  std::map<Key, paceline::history::Poll> open_;
};

// The roles. The exit code: 0 if everything that was under way came to its end.
int run_producer(const Arguments& arguments);
int run_member(const Arguments& arguments);
int run_final_reader(const Arguments& arguments);
int run_look(const Arguments& arguments);  // what the group has committed, as told to an outsider

}  // namespace crash
