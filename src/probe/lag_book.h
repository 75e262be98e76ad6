#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace paceline::probe {

// A partition of a topic of the load: the topic's index into Run::topics.
using Part = std::pair<uint16_t, int32_t>;

// How far readers are behind what is acknowledged. Not behind what a broker tells of its end: one
// that is dead tells nothing. Pure.
class LagBook {
 public:
  // A group, or a consumer by assignment, has to read these.
  void expect(const std::string& reader, const std::vector<Part>& parts);
  void acknowledged(Part part, int64_t offset);
  void read(const std::string& reader, Part part, int64_t offset);

  // Records; 0 for a reader that is not known.
  int64_t lag(const std::string& reader) const;
  int64_t lag() const;  // of all together
  const std::map<std::string, std::map<Part, int64_t>>& positions() const { return positions_; }

 private:
  std::map<Part, int64_t> ends_;
  std::map<std::string, std::map<Part, int64_t>> positions_;  // of what is to be read next
};

}  // namespace paceline::probe
