#include "broker/errors.h"

namespace paceline::broker {

KafkaError kafka_error(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return KafkaError::invalid_request;
    case Code::not_found:
      return KafkaError::unknown_topic_or_partition;
    case Code::already_exists:
      return KafkaError::topic_already_exists;
    case Code::conflict:
      return KafkaError::request_timed_out;  // clients try again on it
    case Code::fenced:
    case Code::sealed:
    case Code::maybe_written:
      return KafkaError::not_leader_or_follower;
    case Code::out_of_range:
      return KafkaError::offset_out_of_range;
    case Code::corrupt:
    case Code::io_error:
    case Code::no_space:
    case Code::unavailable:
    case Code::permission_denied:  // a disk, or an object store, that may not be written for now
      return KafkaError::kafka_storage_error;
    case Code::timed_out:
      return KafkaError::request_timed_out;
    case Code::cancelled:
    case Code::closed:
      return KafkaError::not_leader_or_follower;
    case Code::too_large:
      return KafkaError::message_too_large;
    case Code::unsupported:
      return KafkaError::unsupported_version;
    case Code::in_use:
    case Code::compacted:
      return KafkaError::unknown_server_error;
  }
  return KafkaError::unknown_server_error;
}

}  // namespace paceline::broker
