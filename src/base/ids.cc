#include "base/ids.h"

namespace paceline {

std::string Lane::to_string() const {
  return std::to_string(broker.value) + "." + std::to_string(incarnation.value);
}

std::string StreamId::to_string() const {
  return owner.to_string() + "-" + std::to_string(index);
}

}  // namespace paceline
