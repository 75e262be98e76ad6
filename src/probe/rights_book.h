#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <string>
#include <vector>

#include "evidence/event.h"
#include "probe/probe.h"

namespace paceline::probe {

// `unknown`: nobody said yes or no, as while there is no leader.
enum class Permission { unknown, allowed, denied };
// What the cluster's word for a try means; an error of the client alone is unknown. Pure.
Permission permission_of(rd_kafka_resp_err_t error);

// What became of all tries of all rights. Pure.
class RightsBook {
 public:
  explicit RightsBook(std::vector<Options::Right> rights);

  const std::vector<Options::Right>& rights() const { return rights_; }
  // True: it is another answer than the one before, and `event` tells of it.
  bool answered(size_t right, Permission permission, evidence::Event& event);
  // The figures of `rights.tried`.
  void tell(evidence::Event& event) const;

 private:
  std::vector<Options::Right> rights_;
  std::vector<Permission> last_;  // that was an answer
  int64_t allowed_ = 0, denied_ = 0, unknown_ = 0, wrong_ = 0;
};

}  // namespace paceline::probe
