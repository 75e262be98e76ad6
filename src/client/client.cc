#include "client/client.h"

#include "client/sasl.h"
#include "env/address.h"

namespace paceline::client {
namespace {

constexpr env::Duration kConnectMax = std::chrono::seconds(10);
constexpr int32_t kAnswerBytesMax = 256 << 20;

}  // namespace

std::vector<std::string> addresses_of(const std::string& bootstrap) {
  std::vector<std::string> addresses;
  for (size_t from = 0; from <= bootstrap.size();) {
    const size_t comma = std::min(bootstrap.find(',', from), bootstrap.size());
    if (comma > from) addresses.push_back(bootstrap.substr(from, comma - from));
    from = comma + 1;
  }
  return addresses;
}

Task<Result<std::unique_ptr<Client>>> Client::connect(env::Shard& shard, std::string bootstrap,
                                                      env::Duration patience, Security security) {
  CO_TRY(env::HostPort at, env::parse_host_port(bootstrap));
  const env::Instant deadline = shard.now() + std::min(patience, kConnectMax);
  auto socket = co_await shard.network().connect(at.host, at.port, deadline);
  if (socket && security.tls)
    socket = co_await net::tls_connect(shard, security.tls, std::move(*socket), at.host, deadline);
  if (!socket)
    co_return fail(socket.error().code, fmt::format("cannot reach a broker at {}: {}", bootstrap,
                                                    socket.error().message));
  std::unique_ptr<Client> client(new Client(shard, std::move(*socket), patience));
  if (!security.mechanism.empty()) CO_TRY_VOID(co_await authenticate(shard, *client, security));
  co_return client;
}

Task<Result<void>> Client::read_exactly(MutableBytes into) {
  while (!into.empty()) {
    CO_TRY(size_t got, co_await socket_->read_some(into));
    into = into.subspan(got);
  }
  co_return Result<void>{};
}

Task<Result<Slice>> Client::exchange(std::vector<Slice> frame) {
  // The deadline closes the socket, which ends whatever waits on it.
  env::Socket* socket = socket_.get();
  const auto timer = shard_.run_at(shard_.now() + patience_, [socket] { socket->close(); });
  auto run = [](Client* self, std::vector<Slice> pieces) -> Task<Result<Slice>> {
    CO_TRY_VOID(co_await self->socket_->write(pieces));
    std::byte length[4];
    CO_TRY_VOID(co_await self->read_exactly(length));
    const auto size = load_be<int32_t>(length);
    if (size < 4 || size > kAnswerBytesMax)
      co_return fail(Code::corrupt, "the peer does not speak Kafka's protocol");
    Buffer answer = Buffer::allocate(static_cast<size_t>(size));
    CO_TRY_VOID(co_await self->read_exactly(answer.writable()));
    co_return Slice(std::move(answer));
  };
  auto result = co_await run(this, std::move(frame));
  shard_.cancel_timer(timer);
  if (!result && result.error().code == Code::closed)
    co_return fail(Code::unavailable, "the broker closed the connection or did not answer in time");
  co_return result;
}

}  // namespace paceline::client
