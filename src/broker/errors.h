#pragma once

#include "base/result.h"
#include "record/kafka_error.h"

namespace paceline::broker {

using record::KafkaError;

// The one table from our errors to Kafka's, for what storage and metadata answer.
KafkaError kafka_error(Code code);

constexpr int16_t wire(KafkaError error) {
  return static_cast<int16_t>(error);
}

}  // namespace paceline::broker
