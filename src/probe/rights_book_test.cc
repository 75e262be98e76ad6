#include "probe/rights_book.h"

#include <gtest/gtest.h>

namespace paceline::probe {
namespace {

RightsBook two() {
  return RightsBook({{.name = "mine", .operation = "write", .topic = "t", .allowed = true},
                     {.name = "theirs", .operation = "read", .topic = "s", .allowed = false}});
}
int64_t count(const RightsBook& book, const char* what) {
  evidence::Event event;
  book.tell(event);
  return event.integer(what).value();
}

TEST(RightsBook, AnAnswerIsToldOnceUntilItChanges) {
  RightsBook book = two();
  evidence::Event event;
  EXPECT_EQ(count(book, "silent"), 2);
  EXPECT_TRUE(book.answered(1, Permission::denied, event));
  EXPECT_EQ(event.topic, "s");
  EXPECT_EQ(event.word("right"), "theirs");
  EXPECT_EQ(event.word("answer"), "denied");
  EXPECT_EQ(event.word("due"), "denied");
  EXPECT_FALSE(book.answered(1, Permission::denied, event));
  EXPECT_FALSE(book.answered(1, Permission::unknown, event)) << "no answer changes nothing";
  EXPECT_EQ(count(book, "wrong"), 0);
  EXPECT_TRUE(book.answered(1, Permission::allowed, event));
  EXPECT_EQ(event.word("answer"), "allowed");
  EXPECT_EQ(count(book, "wrong"), 1);
  EXPECT_EQ(count(book, "silent"), 1);
  EXPECT_EQ(count(book, "denied"), 2);
  EXPECT_EQ(count(book, "unknown"), 1);
}

TEST(RightsBook, WhoIsDeniedWhatIsDueIsWrongToo) {
  RightsBook book = two();
  evidence::Event event;
  book.answered(0, Permission::allowed, event);
  EXPECT_EQ(count(book, "wrong"), 0);
  book.answered(0, Permission::denied, event);
  book.answered(0, Permission::denied, event);
  EXPECT_EQ(count(book, "wrong"), 2);
}

TEST(RightsBook, OnlyTheClustersWordIsAnAnswer) {
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR_NO_ERROR), Permission::allowed);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR__PARTITION_EOF), Permission::allowed);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), Permission::denied);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION), Permission::denied);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR__AUTHENTICATION), Permission::denied);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), Permission::unknown);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR__TRANSPORT), Permission::unknown);
  EXPECT_EQ(permission_of(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION), Permission::unknown);
}

}  // namespace
}  // namespace paceline::probe
