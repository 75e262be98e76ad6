#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "env/sync.h"
#include "env/test_world.h"
#include "peer/peer.h"

// The real network and real processes: one broker in a process of its own that is killed or
// stopped, two in this one.

namespace paceline::peer {
namespace {

using namespace std::chrono_literals;

constexpr Uuid kCluster{{7, 7}};
constexpr Lane kChild{BrokerId(1), Incarnation(5)};
constexpr Lane kSecond{BrokerId(2), Incarnation(6)};
constexpr Lane kThird{BrokerId(3), Incarnation(7)};

std::unique_ptr<Peers> open_peers(env::Shard& shard, Lane lane) {
  auto opened =
      Peers::open(shard, {.cluster_id = kCluster, .self = lane, .listen = {"127.0.0.1", 0}});
  CHECK(opened);
  return std::move(*opened);
}
std::vector<Peer> all(uint16_t child, uint16_t second, uint16_t third) {
  return {{kChild, {"127.0.0.1", child}},
          {kSecond, {"127.0.0.1", second}},
          {kThird, {"127.0.0.1", third}}};
}

struct Child {
  Child() {
    CHECK(::pipe(up) == 0 && ::pipe(down) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::close(down[1]);
      serve();
      ::_exit(0);
    }
    ::close(up[1]);
    ::close(down[0]);
    CHECK(::read(up[0], &port, sizeof port) == sizeof port);
  }
  ~Child() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(up[0]);
    ::close(down[1]);
  }
  void serve() {
    env::RealEnv env({.shards = 1});
    auto peers = open_peers(env.shard(0), kChild);
    port = peers->port();
    CHECK(::write(up[1], &port, sizeof port) == sizeof port);
    uint16_t others[2];
    if (::read(down[0], others, sizeof others) != sizeof others) return;
    peers->set_living(all(port, others[0], others[1]));
    env.run();
  }
  int up[2];
  int down[2];
  pid_t pid = 0;
  uint16_t port = 0;
};

struct Heard {
  std::optional<Notice> notice;
  env::Instant when{};
};

Task<void> play(env::Shard& shard, Child& child, int signal, std::vector<Heard>& heard) {
  std::unique_ptr<Peers> peers[] = {open_peers(shard, kSecond), open_peers(shard, kThird)};
  const uint16_t ports[] = {peers[0]->port(), peers[1]->port()};
  CHECK(::write(child.down[1], ports, sizeof ports) == sizeof ports);
  heard.resize(2);
  env::Event changed(shard);
  for (size_t i = 0; i < 2; ++i) {
    peers[i]->on_dead([&, i](const Notice& notice) {
      heard[i] = {notice, shard.now()};
      changed.notify_all();
    });
    peers[i]->set_living(all(child.port, ports[0], ports[1]));
  }
  auto connected = [](const Peers& one) {
    return std::ranges::all_of(one.health(), &PeerHealth::connected);
  };
  while (!connected(*peers[0]) || !connected(*peers[1])) co_await env::sleep_for(shard, 10ms);
  co_await env::sleep_for(shard, 300ms);
  EXPECT_FALSE(heard[0].notice || heard[1].notice);
  const env::Instant killed = shard.now();
  ::kill(child.pid, signal);
  while (!heard[0].notice || !heard[1].notice) {
    if (!co_await changed.wait_until(killed + 20s)) break;
  }
  for (const Heard& one : heard)
    if (one.notice)
      std::printf("signal %d: noticed after %.2f ms, evidence %s: %s\n", signal,
                  std::chrono::duration<double, std::milli>(one.when - killed).count(),
                  std::string(evidence_name(one.notice->evidence)).c_str(),
                  one.notice->words.c_str());
  co_await peers[0]->stop();
  co_await peers[1]->stop();
}

TEST(PeersReal, AProcessThatIsKilledIsRefused) {
  Child child;
  env::RealTestWorld world(1);
  std::vector<Heard> heard;
  world.run(play(world.shard(0), child, SIGKILL, heard));
  for (const Heard& one : heard) {
    ASSERT_TRUE(one.notice);
    EXPECT_EQ(one.notice->evidence, Evidence::refused);
    EXPECT_EQ(one.notice->peer, kChild);
  }
}

TEST(PeersReal, AProcessThatIsStoppedIsSilentAndConfirmed) {
  Child child;
  env::RealTestWorld world(1);
  std::vector<Heard> heard;
  world.run(play(world.shard(0), child, SIGSTOP, heard));
  for (const Heard& one : heard) {
    ASSERT_TRUE(one.notice);
    EXPECT_EQ(one.notice->evidence, Evidence::silent);
    EXPECT_TRUE(one.notice->confirmed_by);
  }
}

}  // namespace
}  // namespace paceline::peer
