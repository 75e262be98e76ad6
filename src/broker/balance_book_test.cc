#include "broker/balance_book.h"

#include <gtest/gtest.h>

namespace paceline::broker {
namespace {

using namespace std::chrono_literals;

constexpr env::Instant kStart{1h};

StreamId stream(uint32_t index) {
  return {Uuid{{1}}, index};
}

// One topic, by the leaders of its partitions.
std::shared_ptr<const cluster::Image> image_of(const std::vector<int32_t>& leaders) {
  auto topic = std::make_shared<cluster::TopicImage>();
  topic->id = stream(0).owner;
  for (int32_t leader : leaders) {
    cluster::PartitionImage partition;
    partition.leader = BrokerId(leader);
    partition.preferred = std::vector{BrokerId(1)};
    topic->partitions.push_back(partition);
  }
  auto image = std::make_shared<cluster::Image>();
  image->topics["t"] = topic;
  image->topics_by_id[topic->id] = topic;
  return image;
}

std::vector<bool> may_level(const BalanceBook& book, env::Instant now) {
  std::vector<bool> all;
  for (const cluster::BalancePartition& one : book.partitions(now)) all.push_back(one.may_level);
  return all;
}
std::vector<double> loads(const BalanceBook& book) {
  std::vector<double> all;
  for (const cluster::BalancePartition& one : book.partitions(kStart)) all.push_back(one.load);
  return all;
}

TEST(BalanceBook, WhatHasMovedStaysForAWhile) {
  BalanceBook book(30s);
  book.follow(image_of({1, 2, 3}), kStart);
  EXPECT_EQ(may_level(book, kStart), (std::vector{true, true, true}));
  book.follow(image_of({1, 3, 3}), kStart + 5s);
  EXPECT_EQ(may_level(book, kStart + 5s), (std::vector{true, false, true}));
  book.hold(stream(0), kStart + 10s);
  book.follow(image_of({1, 3, 3}), kStart + 34s);
  EXPECT_EQ(may_level(book, kStart + 34s), (std::vector{false, false, true}));
  EXPECT_EQ(may_level(book, kStart + 36s), (std::vector{false, true, true}));
  book.follow(image_of({1, 3, 3, 2}), kStart + 41s);
  EXPECT_EQ(may_level(book, kStart + 41s), (std::vector{true, true, true, true}));
}

TEST(BalanceBook, APartitionKeepsItsLoadThroughAMove) {
  BalanceBook book(30s);
  book.follow(image_of({1, 2, 3}), kStart);
  book.observe({{stream(0), 1000}, {stream(1), 500}});
  EXPECT_EQ(loads(book), (std::vector<double>{1000, 500, 0}));
  // The new leader has seen a little of one, and the other is idle now.
  book.follow(image_of({2, 2, 3}), kStart + 5s);
  book.observe({{stream(0), 10}});
  EXPECT_EQ(loads(book), (std::vector<double>{1000, 0, 0}));
  book.follow(image_of({2, 2, 3}), kStart + 40s);
  book.observe({{stream(0), 400}});
  EXPECT_EQ(loads(book), (std::vector<double>{400, 0, 0}));
}

}  // namespace
}  // namespace paceline::broker
