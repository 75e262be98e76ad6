#include "probe/rights_book.h"

#include <algorithm>

namespace paceline::probe {

Permission permission_of(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      return Permission::allowed;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:  // a topic of the cluster's own
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
      return Permission::denied;
    default:
      return Permission::unknown;
  }
}

RightsBook::RightsBook(std::vector<Options::Right> rights)
    : rights_(std::move(rights)), last_(rights_.size(), Permission::unknown) {}

bool RightsBook::answered(size_t right, Permission permission, evidence::Event& event) {
  if (permission == Permission::unknown) {
    ++unknown_;
    return false;
  }
  const Options::Right& about = rights_[right];
  const bool allowed = permission == Permission::allowed;
  ++(allowed ? allowed_ : denied_);
  if (allowed != about.allowed) ++wrong_;
  if (std::exchange(last_[right], permission) == permission) return false;
  event.topic = about.topic;
  event.figures = {{"right", about.name},
                   {"operation", about.operation},
                   {"answer", std::string(allowed ? "allowed" : "denied")},
                   {"due", std::string(about.allowed ? "allowed" : "denied")}};
  return true;
}

void RightsBook::tell(evidence::Event& event) const {
  event.figures = {{"rights", static_cast<int64_t>(rights_.size())},
                   {"silent", static_cast<int64_t>(std::ranges::count(last_, Permission::unknown))},
                   {"allowed", allowed_},
                   {"denied", denied_},
                   {"unknown", unknown_},
                   {"wrong", wrong_}};
}

}  // namespace paceline::probe
