#include "broker/complaints.h"

#include "base/log.h"

namespace paceline::broker {

void Complaints::say(env::Instant now, std::string_view line) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (lines_ == kLinesASecond) {
    ++left_out_;
    return;
  }
  ++lines_;
  if (left_out_ == 0) {
    log_info("{}", line);
  } else {
    log_info("{} (before it, {} lines of this kind were left out)", line, left_out_);
  }
  left_out_ = 0;
}

bool is_routine(record::KafkaError error) {
  using enum record::KafkaError;
  switch (error) {
    case none:
    case offset_out_of_range:
    case unknown_topic_or_partition:
    case leader_not_available:
    case not_leader_or_follower:
    case request_timed_out:
    case coordinator_load_in_progress:
    case coordinator_not_available:
    case not_coordinator:
    case rebalance_in_progress:
    case member_id_required:
    case kafka_storage_error:
    case topic_already_exists:
      return true;
    default:
      return false;
  }
}

}  // namespace paceline::broker
