#include "env/sim_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "env/network.h"
#include "env/sync.h"

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

Task<Result<void>> write_text(Socket& socket, std::string text) {
  const Slice slice = Slice::copy_of(as_bytes(text));
  co_return co_await socket.write(std::span(&slice, 1));
}

Task<void> echo_one(std::unique_ptr<Socket> socket) {
  std::byte buffer[1000];
  for (;;) {
    auto count = co_await socket->read_some(buffer);
    if (!count) co_return;
    const Slice slice = Slice::copy_of(Bytes(buffer, *count));
    auto wrote = co_await socket->write(std::span(&slice, 1));
    if (!wrote) co_return;
  }
}
Task<void> serve_echo(Shard& shard) {
  auto listener = shard.network().listen("0.0.0.0", 7);
  CHECK(listener);
  for (;;) {
    auto socket = co_await (*listener)->accept(shard);
    if (!socket) co_return;
    shard.spawn(echo_one(std::move(*socket)));
  }
}

// What one client has seen: answers, and the errors that ended its connections.
struct Seen {
  int answers = 0;
  std::vector<Code> errors;
};
Task<void> one_session(Shard& shard, std::string host, Seen& seen) {
  auto socket = co_await shard.network().connect(host, 7, shard.now() + 1s);
  if (!socket) {
    seen.errors.push_back(socket.error().code);
    co_return;
  }
  std::byte buffer[16];
  for (;;) {
    auto wrote = co_await write_text(**socket, "ping");
    if (!wrote) {
      seen.errors.push_back(wrote.error().code);
      co_return;
    }
    for (size_t done = 0; done < 4;) {
      auto count = co_await (*socket)->read_some(buffer);
      if (!count) {
        seen.errors.push_back(count.error().code);
        co_return;
      }
      done += *count;
    }
    ++seen.answers;
    co_await sleep_for(shard, 10ms);
  }
}
Task<void> client(Shard& shard, std::string host, Seen& seen) {
  for (;;) {
    co_await one_session(shard, host, seen);
    co_await sleep_for(shard, 50ms);
  }
}

Task<void> disk_work(Shard& shard) {
  for (int i = 0;; ++i) {
    auto work = [&disk = shard.disk(), i] {
      auto file = disk.open("/f", {.create = OpenMode::Create::if_missing, .writable = true});
      if (file) (void)(*file)->write_at(i, as_bytes("x"));
      if (file && i % 3 == 0) (void)(*file)->sync();
    };
    co_await offload(shard, work, 1 + shard.random() % 3);
    co_await sleep_for(shard, 1ms);
  }
}

struct Outcome {
  uint64_t hash = 0;
  Seen seen;
};
Outcome run_cluster(uint64_t seed) {
  Outcome run;
  SimWorld world(seed);
  for (const char* name : {"a", "b", "c"}) {
    SimHost& host = world.add_host(name);
    auto shards = host.start(2);
    shards[0]->spawn(serve_echo(*shards[0]));
    shards[1]->spawn(disk_work(*shards[1]));
  }
  world.host("b").shard(0).spawn(client(world.host("b").shard(0), "a", run.seen));
  world.network_faults().reset = 0.001;
  world.network_faults().slow = 0.01;
  world.after(1s, [&] { world.cut("a", "b"); });
  world.after(4s, [&] { world.heal("a", "b"); });
  world.after(5s, [&] { world.host("c").crash(); });
  world.after(6s, [&] {
    auto shards = world.host("c").start(1);
    shards[0]->spawn(client(*shards[0], "b", run.seen));
  });
  world.run_for(10s);
  world.trace("end");
  run.hash = world.trace_hash();
  return run;
}
TEST(SimWorld, OneSeedRunsTheSameTwiceAndTwoSeedsDiffer) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Outcome first = run_cluster(seed);
    const Outcome second = run_cluster(seed);
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_EQ(first.seen.answers, second.seen.answers) << "seed " << seed;
    EXPECT_GT(first.seen.answers, 100) << "seed " << seed;
    hashes.insert(first.hash);
  }
  EXPECT_EQ(hashes.size(), 5u);
}

TEST(SimWorld, AnIdleWorldHasNothingToDoAndTimeIsOnlyANumber) {
  SimWorld world(3);
  EXPECT_FALSE(world.step());
  const Instant start = world.now();
  world.run_for(24h);
  EXPECT_EQ(world.now() - start, 24h);
  EXPECT_FALSE(world.run_until([] { return false; }, 1s));
  EXPECT_TRUE(world.run_until([] { return true; }, 1s));
}

TEST(SimWorld, ACutStopsTrafficUntilItIsHealed) {
  SimWorld world(5);
  SimHost& server = world.add_host("server");
  SimHost& user = world.add_host("user");
  server.start();
  server.shard(0).spawn(serve_echo(server.shard(0)));
  user.start();
  Seen seen;
  user.shard(0).spawn(client(user.shard(0), "server", seen));
  world.run_for(1s);
  EXPECT_GT(seen.answers, 50);
  world.cut("server", "user");
  world.run_for(1s);  // what was on its way arrives
  const int before = seen.answers;
  world.run_for(20s);
  EXPECT_EQ(seen.answers, before);
  EXPECT_TRUE(seen.errors.empty());  // nothing is known yet
  world.heal("server", "user");
  world.run_for(1s);
  EXPECT_GT(seen.answers, before);
  EXPECT_TRUE(seen.errors.empty());
  world.cut_one_way("user", "server");
  world.run_for(62s);
  ASSERT_FALSE(seen.errors.empty());
  EXPECT_EQ(seen.errors.front(), Code::io_error);
  EXPECT_EQ(seen.errors.back(), Code::timed_out);  // new connections do not come about
  world.heal_all();
  const int cut = seen.answers;
  world.run_for(3s);
  EXPECT_GT(seen.answers, cut);
}

TEST(SimWorld, PeersOfACrashedHostReadAResetAndNewConnectionsAreRefused) {
  SimWorld world(6);
  SimHost& server = world.add_host("server");
  SimHost& user = world.add_host("user");
  server.start();
  server.shard(0).spawn(serve_echo(server.shard(0)));
  user.start();
  Seen seen;
  user.shard(0).spawn(client(user.shard(0), "server", seen));
  world.run_for(1s);
  server.crash();
  EXPECT_FALSE(server.running());
  world.run_for(1s);
  ASSERT_GE(seen.errors.size(), 2u);
  EXPECT_EQ(seen.errors[0], Code::io_error);
  EXPECT_EQ(seen.errors[1], Code::unavailable);
  server.start();
  server.shard(0).spawn(serve_echo(server.shard(0)));
  seen = {};
  world.run_for(1s);
  EXPECT_GT(seen.answers, 50);
  seen = {};
  server.stop();
  world.run_for(100ms);
  ASSERT_FALSE(seen.errors.empty());
  EXPECT_EQ(seen.errors[0], Code::closed);
}

Task<void> tick(Shard& shard, std::vector<Instant>& ticks) {
  for (;;) {
    co_await sleep_for(shard, 10ms);
    ticks.push_back(shard.now());
  }
}
TEST(SimWorld, APausedProcessSleepsWhileTimeGoesOn) {
  SimWorld world(7);
  SimHost& host = world.add_host("a");
  auto shards = host.start();
  std::vector<Instant> ticks;
  shards[0]->spawn(tick(*shards[0], ticks));
  world.run_for(100ms);
  const size_t before = ticks.size();
  const Instant paused = world.now();
  host.pause(5s);
  world.run_for(4900ms);
  EXPECT_EQ(ticks.size(), before);
  world.run_for(1s);
  ASSERT_GT(ticks.size(), before);
  EXPECT_GE(ticks[before], paused + 5s);
}

Task<void> send_numbers(Shard& shard, SimWorld& world, uint16_t port) {
  auto socket = co_await shard.network().connect("server", port, Instant::never());
  CHECK(socket);
  for (int i = 0; i < 100; ++i) {
    if (!co_await write_text(**socket, std::string(1, static_cast<char>(i)))) break;
    co_await sleep_for(shard, Duration(static_cast<int64_t>(world.random().below(2'000'000))));
  }
  co_await sleep_for(shard, 5s);
}
Task<void> receive_numbers(Shard& shard, uint16_t* port, std::string* received) {
  auto listener = shard.network().listen("", 0);
  CHECK(listener);
  *port = (*listener)->port();
  auto socket = co_await (*listener)->accept(shard);
  CHECK(socket);
  std::byte bytes[16];
  for (;;) {
    auto count = co_await (*socket)->read_some(bytes);
    if (!count) break;
    received->append(reinterpret_cast<const char*>(bytes), *count);
  }
}
// Whatever is done to a world meanwhile, a connection stays one stream.
void expect_order_kept(SimNetworkFaults faults,
                       const std::function<void(SimWorld&, SimHost& server)>& disturb) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimWorld world(seed);
    world.network_faults() = faults;
    SimHost& host = world.add_host("server");
    auto server = host.start();
    auto user = world.add_host("user").start();
    uint16_t port = 0;
    std::string received;
    server[0]->spawn(receive_numbers(*server[0], &port, &received));
    world.run_for(1ms);
    user[0]->spawn(send_numbers(*user[0], world, port));
    for (int i = 0; i < 10; ++i) disturb(world, host);
    world.run_for(10s);
    ASSERT_EQ(received.size(), 100u) << "seed " << seed;
    for (int i = 0; i < 100; ++i)
      ASSERT_EQ(received[static_cast<size_t>(i)], static_cast<char>(i)) << "seed " << seed;
  }
}
Duration below(SimWorld& world, uint64_t most) {
  return Duration(static_cast<int64_t>(world.random().below(most)));
}

// What was on its way before, held during, and sent after a cut.
TEST(SimWorld, ACutDoesNotReorderAConnection) {
  SimNetworkFaults faults;
  faults.slow = 0.1;
  faults.slow_max = 20ms;
  expect_order_kept(faults, [](SimWorld& world, SimHost&) {
    world.run_for(below(world, 20'000'000));
    world.cut("server", "user");
    world.run_for(below(world, 20'000'000));
    world.heal("server", "user");
  });
}

// Pauses that begin during others.
TEST(SimWorld, PausesDoNotReorderAConnection) {
  expect_order_kept({}, [](SimWorld& world, SimHost& server) {
    for (int times = 0; times < 3; ++times) {
      server.pause(below(world, 20'000'000));
      world.run_for(below(world, 5'000'000));
    }
  });
}

TEST(SimWorld, OnlyTheWallClockJumps) {
  SimWorld world(8);
  SimHost& host = world.add_host("a");
  auto shards = host.start();
  const int64_t wall = shards[0]->wall_ms();
  const Instant now = shards[0]->now();
  host.set_wall_skew(-1h);
  EXPECT_EQ(shards[0]->wall_ms(), wall - 3'600'000);
  EXPECT_EQ(shards[0]->now(), now);
}

// Offloaded work that has happened when the crash comes, and nobody heard of it.
TEST(SimWorld, ACrashMayFallBetweenAWorkAndTheNewsOfIt) {
  int happened_unheard = 0;
  int never_happened = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimWorld world(seed);
    SimHost& host = world.add_host("a");
    auto shards = host.start();
    bool worked = false;
    bool heard = false;
    shards[0]->offload(1, [&] { worked = true; }, [&] { heard = true; });
    world.run_for(Duration(static_cast<int64_t>(world.random().below(80'000))));
    host.crash();
    happened_unheard += worked && !heard;
    never_happened += !worked;
    world.run_for(1s);
    EXPECT_LE(heard, worked);
  }
  EXPECT_GT(happened_unheard, 10);
  EXPECT_GT(never_happened, 10);
}

struct Broker {
  explicit Broker(Shard& shard) : event(shard), box(shard), gate(shard) {}
  Event event;
  Mailbox<int> box;
  Gate gate;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Socket> socket;
};
Task<void> use(Broker& broker, Shard& shard, Gate::Pass) {
  auto listener = shard.network().listen("", 0);
  CHECK(listener);
  broker.listener = std::move(*listener);
  auto socket =
      co_await shard.network().connect("localhost", broker.listener->port(), Instant::never());
  CHECK(socket);
  broker.socket = std::move(*socket);
  co_await broker.box.next();
}
TEST(SimWorld, WhatUsedALifeMayBeDestroyedAfterIt) {
  SimWorld world(9);
  SimHost& host = world.add_host("a");
  auto shards = host.start();
  auto broker = std::make_unique<Broker>(*shards[0]);
  shards[0]->spawn(use(*broker, *shards[0], broker->gate.enter()));
  world.run_for(1s);
  EXPECT_EQ(broker->gate.inside(), 1u);
  host.crash();
  EXPECT_EQ(broker->gate.inside(), 0u);
  broker->event.notify_all();
  broker->box.put(1);
  broker->listener->close();
  host.start();
  broker.reset();
  world.run_for(1s);
}

}  // namespace
}  // namespace paceline::env
