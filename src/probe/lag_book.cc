#include "probe/lag_book.h"

#include <algorithm>

namespace paceline::probe {

void LagBook::expect(const std::string& reader, const std::vector<Part>& parts) {
  auto& positions = positions_[reader];
  for (const Part& part : parts) positions.try_emplace(part, 0);
}

void LagBook::acknowledged(Part part, int64_t offset) {
  int64_t& end = ends_[part];
  end = std::max(end, offset + 1);
}

void LagBook::read(const std::string& reader, Part part, int64_t offset) {
  int64_t& position = positions_[reader][part];
  position = std::max(position, offset + 1);
}

int64_t LagBook::lag(const std::string& reader) const {
  const auto found = positions_.find(reader);
  if (found == positions_.end()) return 0;
  int64_t lag = 0;
  for (const auto& [part, position] : found->second) {
    const auto end = ends_.find(part);
    if (end != ends_.end()) lag += std::max<int64_t>(end->second - position, 0);
  }
  return lag;
}

int64_t LagBook::lag() const {
  int64_t all = 0;
  for (const auto& [reader, positions] : positions_) all += lag(reader);
  return all;
}

}  // namespace paceline::probe
