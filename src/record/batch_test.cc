#include "record/batch.h"

#include <gtest/gtest.h>

#include "record/kafka_error.h"
#include "record/records.h"

namespace paceline::record {
namespace {

TEST(KafkaError, NamesAreKafkas) {
  EXPECT_EQ(kafka_error_name(KafkaError::unknown_server_error), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(kafka_error_name(KafkaError::none), "NONE");
  EXPECT_EQ(kafka_error_name(KafkaError{87}), "INVALID_RECORD");
  EXPECT_EQ(kafka_error_name(KafkaError{120}), "TRANSACTION_ABORTABLE");
  EXPECT_EQ(kafka_error_name(KafkaError{133}), "SHARE_SESSION_LIMIT_REACHED");
  EXPECT_EQ(kafka_error_name(KafkaError{134}), "UNKNOWN");
  for (int16_t code = -1; code <= 133; ++code)
    EXPECT_NE(kafka_error_name(KafkaError{code}), "UNKNOWN") << code;
}

}  // namespace
}  // namespace paceline::record
