#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

// What went to the store and what came back, by the class of the key and the kind of request.
namespace paceline::proxy {

struct Count {
  uint64_t requests = 0;   // of which the store has seen at least the head
  uint64_t answered = 0;   // by us; the store has seen nothing
  uint64_t faults = 0;     // requests that met a fault, delays aside
  uint64_t bytes_in = 0;   // of bodies to the store
  uint64_t bytes_out = 0;  // of bodies from the store
  uint64_t ok = 0, errors_4xx = 0, errors_5xx = 0;
  uint64_t broken = 0;  // nobody was told the outcome
};

struct Entry {
  uint64_t ms = 0;  // when the head had come
  uint64_t took_ms = 0;
  std::string kind{}, key{}, fault{};
  int status = 0;  // 0: nobody was told one
  uint64_t bytes_in = 0, bytes_out = 0;
};

class Counters {
 public:
  // `classes`: parts of keys; a key belongs to the first one that it has, else to "other".
  explicit Counters(std::vector<std::string> classes) : classes_(std::move(classes)) {}

  Count& of(const std::string& key, const std::string& kind);
  void note(Entry entry);
  void reset();
  nlohmann::json told() const;
  nlohmann::json log() const;

  uint64_t connections = 0, open = 0, open_max = 0;
  uint64_t in_flight = 0, in_flight_max = 0;
  uint64_t upstream_broken = 0;  // the store closed where it should have answered

 private:
  std::vector<std::string> classes_;
  std::map<std::string, std::map<std::string, Count>> counts_;
  std::deque<Entry> log_;
};

}  // namespace paceline::proxy
