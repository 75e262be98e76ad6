#include "env/network.h"

#include <algorithm>

#include "env/sync.h"
#include "env/test_world.h"

namespace paceline::env {
namespace {

using namespace std::chrono_literals;

class NetworkContract : public ContractTest {};
INSTANTIATE_TEST_SUITE_P(Worlds, NetworkContract,
                         ::testing::Values(WorldKind::real, WorldKind::sim), kind_name);

Task<Result<std::string>> read_all(Socket& socket, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    MutableBytes rest(reinterpret_cast<std::byte*>(text.data()) + done, size - done);
    CO_TRY(const size_t count, co_await socket.read_some(rest));
    done += count;
  }
  co_return text;
}
Task<Result<void>> write_text(Socket& socket, std::string text) {
  const Slice slice = Slice::copy_of(as_bytes(text));
  co_return co_await socket.write(std::span(&slice, 1));
}
Task<void> echo_one(std::unique_ptr<Socket> socket, Gate::Pass) {
  std::string buffer(5000, '\0');
  for (;;) {
    auto count = co_await socket->read_some(
        MutableBytes(reinterpret_cast<std::byte*>(buffer.data()), buffer.size()));
    if (!count) co_return;
    auto wrote = co_await write_text(*socket, buffer.substr(0, *count));
    if (!wrote) co_return;
  }
}
Task<void> echo_server(Shard& shard, Listener& listener, Gate& gate, Gate::Pass) {
  for (;;) {
    auto socket = co_await listener.accept(shard);
    if (!socket) {
      EXPECT_EQ(socket.error().code, Code::closed);
      co_return;
    }
    auto pass = gate.enter();
    shard.spawn(echo_one(std::move(*socket), std::move(pass)));
  }
}
std::unique_ptr<Listener> start_echo(Shard& shard, const std::string& host, Gate& gate) {
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  auto pass = gate.enter();
  shard.spawn(echo_server(shard, **listener, gate, std::move(pass)));
  return std::move(*listener);
}

Task<void> echo(Shard& shard, std::string host) {
  Gate gate(shard);
  auto listener = start_echo(shard, host, gate);
  auto socket = co_await shard.network().connect(host, listener->port(), shard.now() + 5s);
  CHECK(socket);
  EXPECT_NE((*socket)->peer().find(std::to_string(listener->port())), std::string::npos);
  for (size_t size : {1u, 100u, 70'000u}) {
    std::string text(size, static_cast<char>('a' + size % 26));
    EXPECT_TRUE(co_await write_text(**socket, text));
    auto back = co_await read_all(**socket, size);
    EXPECT_TRUE(back && *back == text);
  }
  socket->reset();
  listener->close();
  listener->close();
  co_await gate.wait_empty();
}
TEST_P(NetworkContract, EchoOfSmallAndLargeMessages) {
  make();
  world->run(echo(world->shard(0), world->host()));
}

std::string piece_text(int i) {
  return std::to_string(i) + std::string(50, '.');
}

Task<void> write_many(Socket& socket, int pieces, Gate::Pass) {
  std::vector<Slice> slices;
  for (int i = 0; i < pieces; ++i) slices.push_back(Slice::copy_of(as_bytes(piece_text(i))));
  for (int i = 0; i < 20; ++i) slices.push_back(Slice());
  auto wrote = co_await socket.write(slices);
  EXPECT_TRUE(wrote);
}
Task<void> gather(Shard& shard, std::string host) {
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  auto client = co_await shard.network().connect(host, (*listener)->port(), shard.now() + 5s);
  auto server = co_await (*listener)->accept(shard);
  CHECK(client && server);
  constexpr int kPieces = 500'000;  // more than any buffer between the two
  std::string expected;
  for (int i = 0; i < kPieces; ++i) expected += piece_text(i);
  Gate gate(shard);
  auto pass = gate.enter();
  shard.spawn(write_many(**client, kPieces, std::move(pass)));
  co_await sleep_for(shard, 5ms);
  EXPECT_EQ(gate.inside(), 1u);  // nobody reads: the writer waits
  auto got = co_await read_all(**server, expected.size());
  EXPECT_TRUE(got && *got == expected);
  co_await gate.wait_empty();
  client->reset();
  auto end = co_await read_all(**server, 1);
  EXPECT_EQ(end.error().code, Code::closed);
}
TEST_P(NetworkContract, ManyPiecesAreWrittenInOrderAgainstASlowReader) {
  make();
  world->run(gather(world->shard(0), world->host()));
}

Task<void> half_closed(Shard& shard, std::string host) {
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  auto client = co_await shard.network().connect(host, (*listener)->port(), shard.now() + 5s);
  auto server = co_await (*listener)->accept(shard);
  CHECK(client && server);
  EXPECT_TRUE(co_await write_text(**client, "last words"));
  (*client)->close();
  // What was sent before the end is still delivered; then the end is told, again and again.
  auto got = co_await read_all(**server, 10);
  EXPECT_EQ(got.value_or("?"), "last words");
  for (int i = 0; i < 2; ++i) {
    auto end = co_await read_all(**server, 1);
    EXPECT_EQ(end.error().code, Code::closed);
  }
  auto mine = co_await write_text(**client, "x");
  EXPECT_EQ(mine.error().code, Code::closed);
  Result<void> wrote;
  for (int i = 0; i < 1000 && wrote; ++i) {
    wrote = co_await write_text(**server, "to nobody");
    co_await sleep_for(shard, 1ms);
  }
  EXPECT_FALSE(wrote);
}
TEST_P(NetworkContract, ThePeersEndIsSeenAfterItsLastBytes) {
  make();
  world->run(half_closed(world->shard(0), world->host()));
}

Task<void> expect_closed(Socket& socket, Gate::Pass) {
  auto got = co_await read_all(socket, 1);
  EXPECT_EQ(got.error().code, Code::closed);
}
Task<void> expect_write_closed(Socket& socket, Gate::Pass) {
  const Slice slice(Buffer::allocate(64 << 20));
  std::ranges::fill(slice.buffer().writable(), std::byte{1});
  auto wrote = co_await socket.write(std::span(&slice, 1));
  EXPECT_EQ(wrote.error().code, Code::closed);
}
Task<void> close_pending(Shard& shard, std::string host) {
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  auto client = co_await shard.network().connect(host, (*listener)->port(), shard.now() + 5s);
  auto server = co_await (*listener)->accept(shard);
  CHECK(client && server);
  Gate gate(shard);
  shard.spawn(expect_closed(**client, gate.enter()));
  shard.spawn(expect_write_closed(**client, gate.enter()));
  co_await sleep_for(shard, 5ms);
  EXPECT_EQ(gate.inside(), 2u);
  (*client)->close();
  (*client)->close();
  co_await gate.wait_empty();
  // The object may go while its read waits, too.
  auto quiet = co_await shard.network().connect(host, (*listener)->port(), shard.now() + 5s);
  CHECK(quiet);
  shard.spawn(expect_closed(**quiet, gate.enter()));
  co_await sleep_for(shard, 1ms);
  EXPECT_EQ(gate.inside(), 1u);
  quiet->reset();
  co_await gate.wait_empty();
}
TEST_P(NetworkContract, CloseEndsAPendingReadAndAPendingWrite) {
  make();
  world->run(close_pending(world->shard(0), world->host()));
}

Task<void> one_client(Shard& shard, std::string host, uint16_t port, int id, Gate::Pass) {
  auto socket = co_await shard.network().connect(host, port, shard.now() + 20s);
  CHECK(socket);
  const std::string text = "hello from " + std::to_string(id);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(co_await write_text(**socket, text));
    auto back = co_await read_all(**socket, text.size());
    EXPECT_TRUE(back && *back == text);
  }
}
Task<void> many_clients(Shard& shard, std::string host) {
  Gate servers(shard);
  auto listener = start_echo(shard, host, servers);
  Gate clients(shard);
  for (int id = 0; id < 200; ++id)
    shard.spawn(one_client(shard, host, listener->port(), id, clients.enter()));
  co_await clients.wait_empty();
  listener->close();
  co_await servers.wait_empty();
}
TEST_P(NetworkContract, ManyConnectionsAtOnce) {
  make();
  world->run(many_clients(world->shard(0), world->host()));
}

Task<void> echo_there(Shard& shard, std::unique_ptr<Socket> socket) {
  Gate gate(shard);
  co_await echo_one(std::move(socket), gate.enter());
}
Task<void> accept_for_other(Shard& home, Shard& other, std::string host) {
  auto listener = home.network().listen(host, 0);
  CHECK(listener);
  auto client = co_await home.network().connect(host, (*listener)->port(), home.now() + 5s);
  auto accepted = co_await (*listener)->accept(other);
  CHECK(client && accepted);
  other.post([&other, socket = std::move(*accepted)]() mutable {
    other.spawn(echo_there(other, std::move(socket)));
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(co_await write_text(**client, "across"));
    auto back = co_await read_all(**client, 6);
    EXPECT_EQ(back.value_or("?"), "across");
  }
}
TEST_P(NetworkContract, AConnectionMayBelongToAnotherShardThanItsListener) {
  make(2);
  world->run(accept_for_other(world->shard(0), world->shard(1), world->host()));
}

Task<void> refusals(Shard& shard, std::string host) {
  auto first = shard.network().listen(host, 0);
  CHECK(first);
  const uint16_t port = (*first)->port();
  auto second = shard.network().listen(host, port);
  EXPECT_EQ(second.error().code, Code::in_use);
  EXPECT_NE(second.error().message.find(host + ":" + std::to_string(port)), std::string::npos);
  first->reset();
  auto refused = co_await shard.network().connect(host, port, shard.now() + 5s);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  auto again = shard.network().listen(host, port);
  EXPECT_TRUE(again);
  auto unknown = co_await shard.network().connect("no such host!", 1, shard.now() + 5s);
  EXPECT_EQ(unknown.error().code, Code::invalid_argument);
  EXPECT_EQ(shard.network().listen("no such host!", 0).error().code, Code::invalid_argument);
}
TEST_P(NetworkContract, ErrorsOfListenAndConnectSayWhy) {
  make();
  world->run(refusals(world->shard(0), world->host()));
}

Task<void> unreachable(Shard& shard) {
  // A broadcast address is no host of TCP: the system says so at once, and it is no refusal.
  auto outcome = co_await shard.network().connect("255.255.255.255", 9, shard.now() + 5s);
  EXPECT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::io_error) << outcome.error().message;
}
TEST(RealNetwork, AHostThatCannotBeReachedHasNotRefused) {
  RealTestWorld world(1);
  world.run(unreachable(world.shard(0)));
}

Task<void> accept_closed(Shard& shard, Listener& listener, Gate::Pass) {
  auto socket = co_await listener.accept(shard);
  EXPECT_EQ(socket.error().code, Code::closed);
}
Task<void> leave_open(Shard& shard, std::string host, Gate& servers,
                      std::unique_ptr<Listener>& kept) {
  Gate gate(shard);
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  shard.spawn(accept_closed(shard, **listener, gate.enter()));
  co_await yield(shard);
  listener->reset();
  co_await gate.wait_empty();
  // The world may end with a read and an accept pending.
  kept = start_echo(shard, host, servers);
  auto client = co_await shard.network().connect(host, kept->port(), shard.now() + 5s);
  CHECK(client);
  EXPECT_TRUE(co_await write_text(**client, "x"));
  auto back = co_await read_all(**client, 1);
  EXPECT_TRUE(back);
}
TEST_P(NetworkContract, TheWorldMayEndWithPendingOperations) {
  make();
  Gate servers(world->shard(0));
  std::unique_ptr<Listener> kept;
  world->run(leave_open(world->shard(0), world->host(), servers, kept));
  EXPECT_EQ(servers.inside(), 0u);
}

Task<void> over_ipv6(Shard& shard, bool& supported) {
  auto listener = shard.network().listen("::1", 0);
  supported = listener.has_value();
  if (!supported) co_return;
  auto client = co_await shard.network().connect("::1", (*listener)->port(), shard.now() + 5s);
  auto server = co_await (*listener)->accept(shard);
  CHECK(client && server);
  EXPECT_EQ((*client)->peer(), "[::1]:" + std::to_string((*listener)->port()));
  auto named = shard.network().listen("localhost", 0);
  CHECK(named);
  auto by_name = co_await shard.network().connect("localhost", (*named)->port(), shard.now() + 5s);
  EXPECT_TRUE(by_name);
}
TEST(RealNetwork, ServesIpv6AndNames) {
  RealTestWorld world(1);
  bool supported = false;
  world.run(over_ipv6(world.shard(0), supported));
  if (!supported) GTEST_SKIP() << "this machine has no IPv6";
}

// What reads, and is then busy for longer than the sockets of a shard have at a time.
Task<void> read_and_be_busy(Shard& shard, Socket& socket, const int& turn, std::vector<int>& turns,
                            Gate::Pass) {
  std::byte byte;
  auto read = co_await socket.read_some(MutableBytes(&byte, 1));
  EXPECT_TRUE(read);
  turns.push_back(turn);
  const Instant end = shard.now() + 1ms;
  while (shard.now() < end) {
  }
}
Task<void> busy_sockets(Shard& shard, std::string host) {
  constexpr size_t kSockets = 8;
  auto listener = shard.network().listen(host, 0);
  CHECK(listener);
  std::vector<std::unique_ptr<Socket>> sockets;
  std::vector<std::unique_ptr<Socket>> peers;
  Gate gate(shard);
  int turn = 0;
  std::vector<int> turns;
  for (size_t i = 0; i < kSockets; ++i) {
    auto peer = co_await shard.network().connect(host, (*listener)->port(), shard.now() + 5s);
    auto socket = co_await (*listener)->accept(shard);
    CHECK(peer && socket);
    peers.push_back(std::move(*peer));
    sockets.push_back(std::move(*socket));
    auto pass = gate.enter();
    shard.spawn(read_and_be_busy(shard, *sockets.back(), turn, turns, std::move(pass)));
  }
  co_await yield(shard);  // all of them wait
  for (auto& peer : peers) EXPECT_TRUE(co_await write_text(*peer, "x"));
  for (; turns.size() < kSockets; ++turn) co_await yield(shard);
  EXPECT_EQ(std::ranges::adjacent_find(turns), turns.end());
  co_await gate.wait_empty();
}
TEST(RealNetwork, BusySocketsLeavePostsTheirTurn) {
  RealTestWorld world(1);
  world.run(busy_sockets(world.shard(0), world.host()));
}

}  // namespace
}  // namespace paceline::env
