#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "message.h"

// Which request meets which fault. Pure: the same requests in the same order meet the same faults.
namespace paceline::proxy {

enum class Fault {
  none,
  answer,    // we answer, with `status` and `code`; the store sees nothing
  reset,     // the connection is reset before the store sees anything
  lose,      // the store answers, nobody hears it, the connection is reset
  late,      // the connection is reset; the request reaches the store `ms` later
  hang,      // the request is read, and nothing ever comes back
  cut,       // half of the request's body reaches the store, then both connections are reset
  truncate,  // the body of the answer ends early
  flip,      // one bit of the body of the answer is another
  swap,      // the body of the answer has the bytes of another object, if one was read before
  forget,    // a list leaves out each key with probability `share`
};

// What is done to a request.
struct Action {
  std::string fault;  // as in Fault, or `delay` (before the store sees it), `hold` (after)
  uint64_t ms = 0;    // of delay, hold and late
  double share = 1;   // of forget
  int status = 503;   // of answer
  std::string code = "SlowDown";
  int64_t retry_after_s = -1;
};

struct Rule : Action {
  std::string kind;    // of request, empty for every one
  std::string method;  // empty for every one
  std::string key;     // a part of the key
  double p = 1;
  int64_t skip = 0;         // so many matching requests go by first
  int64_t times = -1;       // no more often than that
  uint64_t younger_ms = 0;  // only keys that were put less than that ago

  int64_t matched = 0;
  int64_t fired = 0;
  std::mt19937_64 noise{};
};

struct Verdict {
  Fault fault = Fault::none;
  uint64_t delay_ms = 0;
  uint64_t hold_ms = 0;
  Action action;        // of the fault
  uint64_t random = 0;  // where to cut or to flip
};

class Rules {
 public:
  // What is wrong with them, if anything; then the old ones stay.
  std::optional<std::string> set(const nlohmann::json& rules, uint64_t seed);
  nlohmann::json told() const;

  Verdict judge(const Asked& asked, const std::string& method, uint64_t now_ms);
  bool has(Fault fault) const;
  // A put that the store has confirmed.
  void note_put(const std::string& key, uint64_t now_ms);

 private:
  bool matches(Rule& rule, const Asked& asked, const std::string& method, uint64_t now_ms) const;

  std::vector<Rule> rules_;
  // Kept for rules of young keys only, and bounded.
  std::unordered_map<std::string, uint64_t> put_ms_;
  bool wants_puts_ = false;
};

}  // namespace paceline::proxy
