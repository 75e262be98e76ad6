#pragma once

#include <cstdint>
#include <string_view>

#include "env/shard.h"
#include "record/kafka_error.h"

namespace paceline::broker {

// What one shard tells the operator of bad input: a line each, never a flood. On its shard.
class Complaints {
 public:
  static constexpr int kLinesASecond = 10;

  // Logs the line, or counts it: the next one that is logged tells how many were left out.
  void say(env::Instant now, std::string_view line);

 private:
  env::Instant second_{};  // when the second that is counted began
  int lines_ = 0;          // in it
  uint64_t left_out_ = 0;
};

// Errors that well-behaved clients meet on an ordinary day; nobody is told of them.
bool is_routine(record::KafkaError error);

}  // namespace paceline::broker
