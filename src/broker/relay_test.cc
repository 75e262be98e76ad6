#include "broker/relay.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "env/sim_world.h"

namespace paceline::broker {
namespace {

constexpr Relay::Target here{{BrokerId(1), Incarnation(1)}, Epoch(4)};
constexpr Relay::Target there{{BrokerId(2), Incarnation(1)}, Epoch(5)};
constexpr Relay::Target beyond{{BrokerId(3), Incarnation(1)}, Epoch(6)};

class RelayTest : public testing::Test {
 protected:
  RelayTest() : host_(world_.add_host("host")) {
    host_.start(1);
    answered_ = std::make_unique<env::Event>(host_.shard(0));
    relay_ = std::make_shared<Relay>(host_.shard(0), here);
  }
  ~RelayTest() override { host_.kill(); }
  void settle() { world_.run_for(std::chrono::milliseconds(1)); }

  struct Answer {
    bool came_back = false;
    bool given = false;
  };
  struct Sent {
    int number;
    Epoch to;
    bool operator==(const Sent&) const = default;
  };
  // One append: sent, answered by the test, sent again if it came back.
  static Task<void> item(RelayTest* test, int number) {
    Relay::Place place(test->relay_);
    for (;;) {
      if (!co_await place.wait_turn(test->host_.shard(0).now() + std::chrono::seconds(1))) {
        test->given_up_.push_back(number);
        co_return;
      }
      const Epoch to = test->relay_->target().epoch;
      place.sent();
      test->sent_.push_back({number, to});
      Answer& answer = test->answers_[number];
      while (!answer.given) co_await test->answered_->wait();
      answer.given = false;
      if (!answer.came_back) co_return;
      place.came_back(to);
    }
  }
  void start(int number) {
    host_.shard(0).spawn(item(this, number));
    settle();
  }
  void answer(int number, bool came_back) {
    answers_[number] = {came_back, true};
    answered_->notify_all();
    settle();
  }

  env::SimWorld world_{7};
  env::SimHost& host_;
  std::unique_ptr<env::Event> answered_;
  std::shared_ptr<Relay> relay_;
  std::map<int, Answer> answers_;
  std::vector<Sent> sent_;
  std::vector<int> given_up_;
};

TEST_F(RelayTest, NobodyWaitsWhileNothingMoves) {
  for (int i = 0; i < 3; ++i) start(i);
  EXPECT_EQ(sent_, (std::vector<Sent>{{0, Epoch(4)}, {1, Epoch(4)}, {2, Epoch(4)}}));
  answer(1, false);
  EXPECT_FALSE(relay_->empty());
  answer(0, false);
  answer(2, false);
  EXPECT_TRUE(relay_->empty());
}

TEST_F(RelayTest, WhatComesBackGoesAgainInOrderAndBeforeAllThatCameLater) {
  for (int i = 0; i < 3; ++i) start(i);
  sent_.clear();
  answer(0, false);
  relay_->retarget(there);
  start(3);  // behind two that may come back
  EXPECT_TRUE(sent_.empty());
  answer(2, true);
  EXPECT_TRUE(sent_.empty());
  answer(1, true);
  EXPECT_EQ(sent_, (std::vector<Sent>{{1, Epoch(5)}, {2, Epoch(5)}, {3, Epoch(5)}}));
}

TEST_F(RelayTest, WhatHadItsAnswerHoldsNobodyUp) {
  start(0);
  sent_.clear();
  relay_->retarget(there);
  start(1);
  EXPECT_TRUE(sent_.empty());
  answer(0, false);
  EXPECT_EQ(sent_, (std::vector<Sent>{{1, Epoch(5)}}));
}

TEST_F(RelayTest, WithoutAKnownTargetEverybodyWaitsAndGivesUpInTime) {
  start(0);
  answer(0, true);
  EXPECT_TRUE(relay_->lost());
  start(1);
  sent_.clear();
  EXPECT_TRUE(relay_->retarget(beyond));
  settle();
  EXPECT_EQ(sent_, (std::vector<Sent>{{0, Epoch(6)}, {1, Epoch(6)}}));
  answer(0, true);
  world_.run_for(std::chrono::seconds(2));
  EXPECT_EQ(given_up_, std::vector{0});
}

TEST_F(RelayTest, AnEarlierTermIsNoNews) {
  EXPECT_TRUE(relay_->retarget(beyond));
  EXPECT_FALSE(relay_->retarget(there));
  EXPECT_EQ(relay_->target(), beyond);
  // Somebody who was sent to an earlier target does not say anything about the present one.
  Relay::Place place(relay_);
  place.came_back(Epoch(4));
  EXPECT_FALSE(relay_->lost());
}

}  // namespace
}  // namespace paceline::broker
