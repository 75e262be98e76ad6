#include "broker/errors.h"

#include <gtest/gtest.h>

namespace paceline::broker {
namespace {

// Whatever the system says when it does not let us write, clients try again on the answer.
TEST(errors, a_disk_that_refuses_is_a_storage_error) {
  for (const Code code : {Code::io_error, Code::no_space, Code::permission_denied, Code::corrupt})
    EXPECT_EQ(kafka_error(code), KafkaError::kafka_storage_error) << static_cast<int>(code);
}

}  // namespace
}  // namespace paceline::broker
