#include "probe/schedule.h"

#include <gtest/gtest.h>

namespace paceline::probe {
namespace {

TEST(Schedule, IsKeptWhateverBecomesOfTheRecords) {
  Schedule schedule(100, 10);
  EXPECT_FALSE(schedule.due(99));
  EXPECT_EQ(schedule.due(100), 100);
  EXPECT_EQ(schedule.due(145), 100) << "what could not be sent keeps its time";
  schedule.advance();
  EXPECT_EQ(schedule.due(145), 110);
  schedule.advance();
  schedule.advance();
  schedule.advance();
  EXPECT_EQ(schedule.due(145), 140);
  schedule.advance();
  EXPECT_FALSE(schedule.due(145));
}

TEST(Schedule, WhatWasNotSentAtRestIsNotMadeUpForAndTheBeatStays) {
  Schedule schedule(100, 10);
  schedule.rest();
  EXPECT_FALSE(schedule.due(1'000));
  schedule.go_on(133);
  EXPECT_FALSE(schedule.due(139));
  EXPECT_EQ(schedule.due(140), 140);
}

TEST(Schedule, GoingOnAtABeatOrWithoutARestChangesNothing) {
  Schedule schedule(100, 10);
  schedule.rest();
  schedule.go_on(120);
  EXPECT_EQ(schedule.due(120), 120);
  schedule.go_on(500);
  EXPECT_EQ(schedule.due(500), 120) << "it did not rest: this one is late";
}

}  // namespace
}  // namespace paceline::probe
