#include "drill/build_id.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "env/test_shards.h"

namespace paceline::drill {
namespace {

TEST(BuildId, IsOfTheProgramAndNotOfItsPlace) {
  env::RealTestShards shards;
  const auto own = build_id_of(shards.shard(0).disk(), "/proc/self/exe");
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(own->size(), 40u);
  EXPECT_EQ(own->find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(*build_id_of(shards.shard(0).disk(), "/proc/self/exe"), *own);
}

TEST(BuildId, WhatIsNoProgramHasNone) {
  EXPECT_FALSE(build_id_in(""));
  EXPECT_FALSE(build_id_in("#!/bin/sh\n"));
  std::ifstream in("/proc/self/exe", std::ios::binary);
  std::string whole(4096, '\0');
  in.read(whole.data(), static_cast<std::streamsize>(whole.size()));
  for (size_t length = 0; length < whole.size(); length += 7)
    (void)build_id_in(std::string_view(whole).substr(0, length));  // wherever it is cut
}

}  // namespace
}  // namespace paceline::drill
