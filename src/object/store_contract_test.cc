#include "object/store_contract.h"

#include "env/shard.h"

namespace paceline::object {
namespace {

template <class T>
Code code_of(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? Code::conflict : result.error().code;
}

TEST_P(ObjectContract, WhatWasPutIsReadInAnyRange) {
  ASSERT_TRUE(world().put("a/b", "0123456789"));
  EXPECT_EQ(*world().get("a/b", 0, 10), "0123456789");
  EXPECT_EQ(*world().get("a/b", 3, 4), "3456");
  EXPECT_EQ(*world().get("a/b", 10, 0), "");
  EXPECT_EQ(*world().wait(world().store().size(world().shard(0), "a/b")), 10u);
}

TEST_P(ObjectContract, ABodyOfManyPiecesIsOneObject) {
  std::vector<Slice> body;
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    std::string piece(static_cast<size_t>(i % 7) * 100, static_cast<char>('a' + i % 26));
    text += piece;
    body.push_back(Slice::copy_of(as_bytes(piece)));
  }
  ASSERT_TRUE(
      world().wait(world().store().put_if_absent(world().shard(0), "many", std::move(body))));
  EXPECT_EQ(*world().get("many", 0, text.size()), text);
}

TEST_P(ObjectContract, AnEmptyBodyIsAnObject) {
  ASSERT_TRUE(world().put("empty", ""));
  EXPECT_EQ(*world().wait(world().store().size(world().shard(0), "empty")), 0u);
  EXPECT_EQ(code_of(world().get("empty", 0, 1)), Code::out_of_range);
}

TEST_P(ObjectContract, TheFirstBodyStays) {
  ASSERT_TRUE(world().put("k", "first"));
  EXPECT_EQ(code_of(world().put("k", "second")), Code::already_exists);
  EXPECT_EQ(code_of(world().put("k", "first")), Code::already_exists);
  EXPECT_EQ(*world().get("k", 0, 5), "first");
}

TEST_P(ObjectContract, WhatIsNotThereIsNotFound) {
  ASSERT_TRUE(world().put("a/b", "x"));
  for (const char* key : {"b", "a/c", "a/b/c", "a"}) {
    EXPECT_EQ(code_of(world().get(key, 0, 1)), Code::not_found) << key;
    EXPECT_EQ(code_of(world().wait(world().store().size(world().shard(0), key))), Code::not_found)
        << key;
  }
}

TEST_P(ObjectContract, ARangeBeyondTheEndIsOutOfRangeHoweverBig) {
  ASSERT_TRUE(world().put("k", "0123456789"));
  EXPECT_EQ(code_of(world().get("k", 0, 11)), Code::out_of_range);
  EXPECT_EQ(code_of(world().get("k", 11, 0)), Code::out_of_range);
  EXPECT_EQ(code_of(world().get("k", 5, ~0ull)), Code::out_of_range);
  EXPECT_EQ(code_of(world().get("k", ~0ull, 5)), Code::out_of_range);
}

TEST_P(ObjectContract, RemoveIsFineTwiceAndMakesRoom) {
  ASSERT_TRUE(world().put("a/k", "1"));
  EXPECT_TRUE(world().wait(world().store().remove(world().shard(0), {"a/k"})));
  EXPECT_EQ(code_of(world().get("a/k", 0, 1)), Code::not_found);
  EXPECT_TRUE(world().wait(world().store().remove(world().shard(0), {"a/k"})));
  EXPECT_TRUE(world().wait(world().store().remove(world().shard(0), {"never/was", "nor/this"})));
  EXPECT_TRUE(world().put("a/k", "2"));
  EXPECT_EQ(*world().get("a/k", 0, 1), "2");
}

TEST_P(ObjectContract, KeysThatCouldLeaveTheStoreAreRefused) {
  for (const char* key : {"", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a\nb"}) {
    EXPECT_EQ(code_of(world().put(key, "x")), Code::invalid_argument) << key;
    EXPECT_EQ(code_of(world().get(key, 0, 0)), Code::invalid_argument) << key;
    EXPECT_EQ(code_of(world().wait(world().store().remove(world().shard(0), {key}))),
              Code::invalid_argument);
  }
}

std::string listed(ObjectWorld& world, std::string prefix, std::string after, size_t count_max) {
  auto page = world.wait(
      world.store().list(world.shard(0), std::move(prefix), std::move(after), count_max));
  if (!page) return page.error().to_string();
  std::string text;
  for (const Listed& object : page->objects)
    text += object.key + ":" + std::to_string(object.bytes) + " ";
  return text + (page->more ? "+" : "");
}

TEST_P(ObjectContract, AListIsInKeyOrderAcrossFolders) {
  // '-' and '.' sort before '/', '0' after it.
  for (const char* key : {"a/b", "a-b", "a.b", "a0", "a/c/d", "a/c-d", "b", "a/c.d/e"})
    ASSERT_TRUE(world().put(key, "x"));
  const std::string all = "a-b:1 a.b:1 a/b:1 a/c-d:1 a/c.d/e:1 a/c/d:1 a0:1 b:1 ";
  EXPECT_EQ(listed(world(), "", "", 100), all);
  std::string paged;
  std::string after;
  for (bool more = true; more;) {
    auto page = world().wait(world().store().list(world().shard(0), "", after, 3));
    ASSERT_TRUE(page);
    for (const Listed& object : page->objects) paged += object.key + ":1 ";
    more = page->more;
    after = page->objects.back().key;
  }
  EXPECT_EQ(paged, all);
}

TEST_P(ObjectContract, AListIsCutToItsPrefixAndStart) {
  for (const char* key : {"a/1", "a/2", "a/3", "ab", "b/1"}) ASSERT_TRUE(world().put(key, "xy"));
  EXPECT_EQ(listed(world(), "a/", "", 100), "a/1:2 a/2:2 a/3:2 ");
  EXPECT_EQ(listed(world(), "a", "", 100), "a/1:2 a/2:2 a/3:2 ab:2 ");
  EXPECT_EQ(listed(world(), "a/", "a/1", 100), "a/2:2 a/3:2 ");
  EXPECT_EQ(listed(world(), "a/", "a/1", 1), "a/2:2 +");
  EXPECT_EQ(listed(world(), "a/", "a/3", 1), "");
  EXPECT_EQ(listed(world(), "c", "", 1), "");
}

TEST_P(ObjectContract, EverythingSurvivesAReopen) {
  ASSERT_TRUE(world().put("a/b", "x"));
  world().reopen();
  EXPECT_EQ(*world().get("a/b", 0, 1), "x");
  EXPECT_EQ(code_of(world().put("a/b", "y")), Code::already_exists);
  EXPECT_TRUE(world().put("a/c", "y"));
}

Task<void> race(Store& store, env::Shard& shard, int* won, int* lost) {
  int running = 0;
  auto one = [](Store& s, env::Shard& on, int* w, int* l, int* left) -> Task<void> {
    std::vector<Slice> body{Slice::copy_of(as_bytes("body"))};
    auto done = co_await s.put_if_absent(on, "new/folder/key", std::move(body));
    CHECK(done || done.error().code == Code::already_exists);
    ++*(done ? w : l);
    --*left;
  };
  for (; running < 8; ++running) shard.spawn(one(store, shard, won, lost, &running));
  while (running > 0) co_await env::sleep_for(shard, std::chrono::milliseconds(1));
}

TEST_P(ObjectContract, OfRacingPutsExactlyOneWins) {
  int won = 0;
  int lost = 0;
  world().run(0, race(world().store(), world().shard(0), &won, &lost));
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 7);
  EXPECT_EQ(*world().get("new/folder/key", 0, 4), "body");
}

}  // namespace
}  // namespace paceline::object
