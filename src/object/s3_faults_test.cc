#include <gtest/gtest.h>

#include "env/random.h"
#include "object/test_s3_world.h"

// What a store and the way to it do wrong, and what the caller is told of it. Fault table B, traps
// T1 and T8.

namespace paceline::object {
namespace {

using namespace std::chrono_literals;
using Kind = TestS3Fault::Kind;

template <class T>
Code code_of(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? Code::cancelled : result.error().code;
}

// `fault` for the first `count` requests of `method`, then nothing.
TestS3Server::Faults first(int count, std::string method, TestS3Fault fault) {
  return [left = count, method = std::move(method),
          fault = std::move(fault)](const TestS3Request& request) mutable {
    return request.method == method && left-- > 0 ? fault : TestS3Fault{};
  };
}
constexpr int kAlways = 1'000'000'000;

class S3Faults : public testing::Test {
 protected:
  S3SimWorld& world() { return world_; }
  TestS3Server& server() { return world_.server(); }
  const std::string& stored(const std::string& key) {
    return server().objects.at("some/prefix/" + key);
  }
  Result<uint64_t> size(const std::string& key) {
    return world_.wait(world_.store().size(world_.shard(0), key));
  }
  env::Duration since(env::Instant start) { return world_.world().now() - start; }

 private:
  S3SimWorld world_;
};

TEST_F(S3Faults, AnAnswerThatIsLostAfterThePutMakesItsOwn412AnUnknownOutcome) {
  server().faults = first(1, "PUT", {Kind::reset_after});
  EXPECT_EQ(code_of(world().put("k", "mine")), Code::maybe_written);
  EXPECT_EQ(stored("k"), "mine");
  // Without a lost answer it is somebody else's.
  EXPECT_EQ(code_of(world().put("k", "mine")), Code::already_exists);
}

TEST_F(S3Faults, AnAnswerThatIsCutOrAnErrorAfterTheEffectIsUnknownAsWell) {
  server().faults = first(1, "PUT", {Kind::cut_answer});
  EXPECT_EQ(code_of(world().put("a", "x")), Code::maybe_written);
  TestS3Fault internal{Kind::answer_after, s3_error(500, "InternalError")};
  server().faults = first(1, "PUT", internal);
  EXPECT_EQ(code_of(world().put("b", "x")), Code::maybe_written);
  TestS3Fault gateway{Kind::answer_after, {503, "<html>no S3</html>"}};
  server().faults = first(1, "PUT", gateway);
  EXPECT_EQ(code_of(world().put("c", "x")), Code::maybe_written);
}

TEST_F(S3Faults, WhatBreaksBeforeItTookEffectIsDoneAgain) {
  for (const TestS3Fault& fault :
       {TestS3Fault{Kind::reset_before}, TestS3Fault::status(500, "InternalError"),
        TestS3Fault::status(503, "SlowDown"), TestS3Fault::status(429, ""),
        TestS3Fault::status(400, "RequestTimeout"), TestS3Fault::status(409, "OperationAborted")}) {
    server().faults = first(2, "PUT", fault);
    const std::string key = fmt::format("k{}", static_cast<int>(fault.instead.status)) +
                            std::to_string(static_cast<int>(fault.kind));
    EXPECT_TRUE(world().put(key, "x")) << key;
  }
}

TEST_F(S3Faults, A409IsNeitherSuccessNorFence) {
  server().faults = first(3, "PUT", TestS3Fault::status(409, "ConditionalRequestConflict"));
  EXPECT_TRUE(world().put("a", "x"));
  server().faults = first(kAlways, "PUT", TestS3Fault::status(409, "ConditionalRequestConflict"));
  EXPECT_EQ(code_of(world().put("b", "x")), Code::conflict);
  EXPECT_FALSE(server().objects.contains("some/prefix/b"));
}

TEST_F(S3Faults, AStoreThatIsFullIsAskedLessAndNobodyIsKilled) {
  server().faults = first(kAlways, "PUT", TestS3Fault::status(503, "SlowDown"));
  const env::Instant start = world().world().now();
  auto put = world().put("a", "x");
  EXPECT_EQ(code_of(put), Code::unavailable);
  EXPECT_NE(put.error().message.find("SlowDown"), std::string::npos) << put.error().message;
  EXPECT_LE(since(start), 31s);
  EXPECT_GE(world().stats(S3Kind::put).throttled, 10u);
  const size_t before = server().log.size();
  // Sixty seconds of it: retries are a share of what works, so that there is no storm.
  for (int i = 0; i < 100; ++i) (void)world().put("b", "x");
  EXPECT_LE(server().log.size() - before, 220u);
  server().faults = nullptr;
  EXPECT_TRUE(world().put("a", "x"));
  EXPECT_GT(world().s3().stats().budget_exhausted, 0u);
}

TEST_F(S3Faults, AStoreThatIsGoneForTenMinutesIsThereAgainWhenItReturns) {
  ASSERT_TRUE(world().put("a", "x"));
  world().world().cut("store", "broker");
  for (int minute = 0; minute < 10; ++minute) {
    // What had left when the line broke has an unknown end; what could not leave has none.
    auto put = world().put("b", "x");
    EXPECT_TRUE(code_of(put) == Code::unavailable || code_of(put) == Code::maybe_written);
    EXPECT_EQ(code_of(world().get("a", 0, 1)), Code::unavailable);
    world().world().run_for(30s);
  }
  world().world().heal_all();
  const env::Instant back = world().world().now();
  EXPECT_EQ(*world().get("a", 0, 1), "x");
  EXPECT_LE(since(back), 10s);
  EXPECT_TRUE(world().put("c", "x"));
}

TEST_F(S3Faults, AReadWhoseAnswerIsCutOffIsMadeAgain) {
  ASSERT_TRUE(world().put("a", std::string(100'000, 'x')));
  server().faults = first(3, "GET", {Kind::cut_answer});
  EXPECT_EQ(world().get("a", 10, 50'000)->size(), 50'000u);
  server().faults = first(2, "GET", {Kind::reset_after});
  EXPECT_EQ(world().get("a", 10, 50'000)->size(), 50'000u);
}

TEST_F(S3Faults, ABucketThatIsGoneIsNotAnObjectThatIsGone) {
  ASSERT_TRUE(world().put("a", "x"));
  server().faults = [](const TestS3Request&) { return TestS3Fault::status(404, "NoSuchBucket"); };
  EXPECT_EQ(code_of(world().get("a", 0, 1)), Code::unavailable);
  EXPECT_EQ(code_of(size("a")), Code::unavailable);
  EXPECT_EQ(code_of(world().put("b", "x")), Code::unavailable);
  EXPECT_EQ(code_of(world().wait(world().store().remove(world().shard(0), {"a"}))),
            Code::unavailable);
  EXPECT_EQ(code_of(world().wait(world().store().remove(world().shard(0), {"a", "b"}))),
            Code::unavailable);
  // Nor is a page of somebody in between.
  server().faults = [](const TestS3Request&) {
    return TestS3Fault{Kind::answer, {404, "<html>not here</html>"}};
  };
  EXPECT_EQ(code_of(world().get("a", 0, 1)), Code::unavailable);
  EXPECT_EQ(code_of(size("a")), Code::unavailable);
}

TEST_F(S3Faults, WhatIsForbiddenIsToldAtOnce) {
  server().faults = first(kAlways, "PUT", TestS3Fault::status(403, "AccessDenied"));
  const env::Instant start = world().world().now();
  EXPECT_EQ(code_of(world().put("a", "x")), Code::permission_denied);
  EXPECT_LE(since(start), 1s);
  server().faults = first(1, "PUT", TestS3Fault::status(507, ""));
  EXPECT_EQ(code_of(world().put("a", "x")), Code::maybe_written);  // whoever says 5xx
  server().faults = first(1, "PUT", TestS3Fault::status(403, "QuotaExceeded"));
  EXPECT_EQ(code_of(world().put("b", "x")), Code::no_space);
}

TEST_F(S3Faults, AnAnswerBeforeTheBodyHasLeftIsHeard) {
  TestS3Fault early{Kind::early_and_hang_up, s3_error(403, "AccessDenied")};
  server().faults = first(1, "PUT", early);
  EXPECT_EQ(code_of(world().put("a", std::string(4 << 20, 'x'))), Code::permission_denied);
}

TEST_F(S3Faults, ConnectionsThatTheServerHasGivenUpCostNothing) {
  ASSERT_TRUE(world().put("a", "x"));
  EXPECT_EQ(server().connections, 1u);
  EXPECT_EQ(*world().get("a", 0, 1), "x");
  EXPECT_EQ(server().connections, 1u);
  // It answers, and hangs up without having said so.
  server().faults = first(kAlways, "GET", {Kind::none});
  world().world().run_for(20s);  // older than idle ones get here
  EXPECT_EQ(*world().get("a", 0, 1), "x");
  EXPECT_EQ(server().connections, 2u);
  EXPECT_EQ(world().stats(S3Kind::get).retries, 0u);
}

Task<void> put_for_ever(S3SimWorld* world, int count, int* done) {
  for (int i = 0; i < count; ++i) {
    auto body = std::vector<Slice>{Slice::copy_of(as_bytes("x"))};
    auto put = co_await world->store().put_if_absent(world->shard(0), fmt::format("warm/{}", i),
                                                     std::move(body));
    CHECK(put.has_value());
    auto got = co_await world->store().get(world->shard(0), fmt::format("warm/{}", i), 0, 1);
    CHECK(got.has_value());
  }
  ++*done;
}

TEST_F(S3Faults, ASlowTailIsCutByASecondRequestOnAnotherConnection) {
  int done = 0;
  world().run(0, put_for_ever(&world(), 200, &done));
  TestS3Fault slow;
  slow.delay = 4s;
  server().faults = first(1, "GET", slow);
  env::Instant start = world().world().now();
  EXPECT_EQ(*world().get("warm/1", 0, 1), "x");
  EXPECT_LE(since(start), 100ms);
  EXPECT_EQ(world().stats(S3Kind::get).hedges, 1u);
  EXPECT_EQ(world().stats(S3Kind::get).hedges_won, 1u);
  // The first of two puts is on its way still when the second creates the object.
  server().faults = first(1, "PUT", slow);
  start = world().world().now();
  EXPECT_TRUE(world().put("slow", "x"));
  EXPECT_LE(since(start), 100ms);
  EXPECT_EQ(world().stats(S3Kind::put).hedges_won, 1u);
  world().world().run_for(10s);
  EXPECT_EQ(stored("slow"), "x");
}

TEST_F(S3Faults, OfTwoOwnPutsTheOneThatIsToldThatItLostWaitsForTheOther) {
  int done = 0;
  world().run(0, put_for_ever(&world(), 200, &done));
  auto slow_first = [](TestS3Fault::Kind kind) {
    TestS3Fault fault{kind};
    fault.delay_after = 60ms;
    return first(1, "PUT", fault);
  };
  // The first has taken effect and its answer is slow: the second is told 412 long before.
  server().faults = slow_first(Kind::none);
  EXPECT_TRUE(world().put("both", "x"));
  EXPECT_EQ(world().stats(S3Kind::put).hedges, 1u);
  // The first has taken effect and its answer never comes: nobody knows.
  server().faults = slow_first(Kind::reset_after);
  EXPECT_EQ(code_of(world().put("lost", "x")), Code::maybe_written);
  EXPECT_EQ(world().stats(S3Kind::put).hedges, 2u);
  EXPECT_EQ(stored("lost"), "x");
  // Both are told 412, so that it is somebody else's.
  server().objects["some/prefix/theirs"] = "y";
  server().faults = slow_first(Kind::none);
  EXPECT_EQ(code_of(world().put("theirs", "x")), Code::already_exists);
  EXPECT_EQ(world().stats(S3Kind::put).hedges, 3u);
}

TEST_F(S3Faults, AListIsPagedAndLeavesOutWhatOthersHavePutThere) {
  for (int i = 0; i < 2500; ++i) server().objects[fmt::format("some/prefix/a/{:05}", i)] = "x";
  server().objects["some/prefix/a/.hidden"] = "x";
  server().objects["some/prefix/a/odd key \x01\xc3\xa4"] = "x";
  server().objects["some/other"] = "x";
  server().objects["some/prefix2/a"] = "x";
  auto page = world().wait(world().store().list(world().shard(0), "", "", 10'000));
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->objects.size(), 2500u);
  EXPECT_FALSE(page->more);
  EXPECT_EQ(world().stats(S3Kind::list).requests, 3u);
  auto part = world().wait(world().store().list(world().shard(0), "a/", "a/00010", 1500));
  ASSERT_TRUE(part);
  EXPECT_EQ(part->objects.front().key, "a/00011");
  EXPECT_EQ(part->objects.size(), 1500u);
  EXPECT_TRUE(part->more);
}

TEST_F(S3Faults, ManyAreRemovedTogetherAndOneByOneWhereTheStoreKnowsNoBulk) {
  std::vector<std::string> keys;
  for (int i = 0; i < 1500; ++i) {
    keys.push_back(fmt::format("a&<{}", i));
    server().objects["some/prefix/" + keys.back()] = "x";
  }
  ASSERT_TRUE(world().wait(world().store().remove(world().shard(0), keys)));
  EXPECT_TRUE(server().objects.empty());
  EXPECT_EQ(world().stats(S3Kind::bulk_remove).requests, 2u);
  server().options.deletes_in_bulk = false;
  server().objects["some/prefix/b"] = server().objects["some/prefix/c"] = "x";
  ASSERT_TRUE(world().wait(world().store().remove(world().shard(0), {"b", "c"})));
  EXPECT_TRUE(server().objects.empty());
  EXPECT_EQ(world().stats(S3Kind::remove).requests, 2u);
  // What could not be removed now is tried again, and told.
  server().options.deletes_in_bulk = true;
  TestS3Fault some{Kind::answer,
                   {200,
                    "<DeleteResult><Error><Key>some/prefix/b</Key><Code>InternalError</Code>"
                    "</Error></DeleteResult>"}};
  server().faults = first(1, "POST", some);
  EXPECT_TRUE(world().wait(world().store().remove(world().shard(0), {"b", "c"})));
  server().faults = first(kAlways, "POST", some);
  EXPECT_EQ(code_of(world().wait(world().store().remove(world().shard(0), {"b", "c"}))),
            Code::unavailable);
}

// Many puts and reads while everything goes wrong: whatever a caller is told is true.
struct Storm {
  S3SimWorld* world;
  std::map<std::string, std::vector<std::string>> told;  // by key: "ok body" or the code's name
  int running = 0;
};

Task<void> storm_put(Storm* storm, size_t shard, std::string key, std::string text) {
  env::Shard& on = storm->world->shard(shard);
  std::vector<Slice> body{Slice::copy_of(as_bytes(text))};
  auto put = co_await storm->world->store().put_if_absent(on, key, std::move(body));
  storm->told[key].push_back((put ? "ok" : std::string(code_name(put.error().code))) + " " + text);
  --storm->running;
}

Task<void> storm(Storm* storm) {
  env::Shard& on = storm->world->shard(0);
  for (int i = 0; i < 400; ++i) {
    storm->running += 2;
    const std::string key = fmt::format("k{}", i / 2);
    on.spawn(storm_put(storm, 0, key, fmt::format("a{}", i)));
    on.spawn(storm_put(storm, 0, key, fmt::format("b{}", i)));
    co_await env::sleep_for(on, 20ms);
  }
  while (storm->running > 0) co_await env::sleep_for(on, 10ms);
}

class S3Storm : public testing::TestWithParam<uint64_t> {};

TEST_P(S3Storm, WhateverGoesWrongWhatIsToldIsTrue) {
  S3SimWorld::Options options;
  options.seed = GetParam();
  options.timing.total = 5s;
  options.timing.attempt = 1s;
  S3SimWorld world(options);
  env::Random random(GetParam());
  world.server().faults = [&random](const TestS3Request&) {
    TestS3Fault fault;
    if (random.chance(0.6)) return fault;
    const std::array all = {TestS3Fault{Kind::reset_before},
                            TestS3Fault{Kind::reset_after},
                            TestS3Fault{Kind::cut_answer},
                            TestS3Fault{Kind::answer_after, s3_error(500, "InternalError")},
                            TestS3Fault::status(503, "SlowDown"),
                            TestS3Fault::status(409, "ConditionalRequestConflict"),
                            TestS3Fault{Kind::hang},
                            TestS3Fault{Kind::none}};
    fault = all[random.below(all.size())];
    fault.delay = std::chrono::milliseconds(random.below(300));
    return fault;
  };
  world.world().network_faults().reset = 0.01;
  Storm state{&world, {}, 0};
  world.run(0, storm(&state));
  int ok = 0;
  int exists = 0;
  for (const auto& [key, told] : state.told) {
    const auto found = world.server().objects.find("some/prefix/" + key);
    const std::string body = found == world.server().objects.end() ? std::string() : found->second;
    for (const std::string& one : told) {
      const std::string text = one.substr(one.find(' ') + 1);
      if (one.starts_with("ok ")) {
        ++ok;
        EXPECT_EQ(body, text) << key;
      } else if (one.starts_with("already_exists ")) {
        ++exists;
        EXPECT_FALSE(body.empty()) << key;
        EXPECT_NE(body, text) << key;
      } else if (!one.starts_with("maybe_written ")) {
        EXPECT_NE(body, text) << key << " " << one;  // nothing happened
      }
    }
  }
  EXPECT_GT(ok, 50);
  EXPECT_GT(exists, 50);
}

INSTANTIATE_TEST_SUITE_P(Seeds, S3Storm, testing::Range<uint64_t>(1, 13));

}  // namespace
}  // namespace paceline::object
