#include "env/real_network.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "env/address.h"
#include "env/real_socket.h"

namespace paceline::env {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

class RealListener final : public Listener {
 public:
  RealListener(RealShard& shard, std::shared_ptr<Descriptor> descriptor, uint16_t port)
      : shard_(shard), descriptor_(std::move(descriptor)), port_(port) {}
  ~RealListener() override { descriptor_->close(); }

  Task<Result<std::unique_ptr<Socket>>> accept(Shard& owner) override;
  void close() override { descriptor_->close(); }
  uint16_t port() const override { return port_; }

 private:
  RealShard& shard_;
  std::shared_ptr<Descriptor> descriptor_;
  const uint16_t port_;
};

// Errors of the connection that was to be accepted, not of the listener.
bool concerns_one_connection(int error) {
  return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
         error == EHOSTUNREACH || error == ENETUNREACH;
}

Task<Result<std::unique_ptr<Socket>>> RealListener::accept(Shard& owner) {
  const std::shared_ptr<Descriptor> descriptor = descriptor_;
  RealShard& shard = shard_;
  for (;;) {
    if (descriptor->closed()) co_return fail(Code::closed, "the listener is closed");
    Address peer;
    peer.size = sizeof peer.storage;
    const int fd = ::accept4(descriptor->fd(), reinterpret_cast<sockaddr*>(&peer.storage),
                             &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      prepare_connection(fd);
      auto accepted = std::make_shared<Descriptor>(static_cast<RealShard&>(owner), fd);
      co_return std::make_unique<RealSocket>(std::move(accepted), peer.to_string());
    }
    const int error = errno;
    if (concerns_one_connection(error)) continue;
    if (error != EAGAIN) {
      // Out of descriptors or memory. The connection stays in the backlog; try when others ended.
      log_warn("cannot accept a connection on port {}: {}", port_, reason(error));
      co_await sleep_for(shard, std::chrono::milliseconds(100));
      continue;
    }
    Descriptor::Wait wait(descriptor, Descriptor::Wait::For::readable);
    co_await wait;
  }
}

Result<std::shared_ptr<Descriptor>> bind_one(RealShard& shard, const Address& address,
                                             const std::string& name) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return fail(Code::io_error, fmt::format("cannot listen on {}: {}", name, reason(errno)));
  auto descriptor = std::make_shared<Descriptor>(shard, fd);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, address.get(), address.size) == 0 && ::listen(fd, SOMAXCONN) == 0)
    return descriptor;
  switch (errno) {
    case EADDRINUSE:
      return fail(Code::in_use,
                  fmt::format("cannot listen on {}: the port is already in use", name));
    case EACCES:
    case EPERM:
      return fail(Code::permission_denied,
                  fmt::format("cannot listen on {}: {}", name, reason(errno)));
    case EADDRNOTAVAIL:
      return fail(Code::invalid_argument,
                  fmt::format("cannot listen on {}: this machine has no such address", name));
    default:
      return fail(Code::io_error, fmt::format("cannot listen on {}: {}", name, reason(errno)));
  }
}

// What connect() failed with. Only a refusal says that nobody listens there; a network that leads
// nowhere, or a lack of our own, says nothing about the other side.
Code connect_code(int error) {
  if (error == ECONNREFUSED) return Code::unavailable;
  return error == ETIMEDOUT ? Code::timed_out : Code::io_error;
}

// The outcome of one address of the host.
Task<Result<std::unique_ptr<Socket>>> connect_one(RealShard& shard, Address address,
                                                  Instant deadline) {
  const std::string name = address.to_string();
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    co_return fail(Code::io_error, fmt::format("cannot connect to {}: {}", name, reason(errno)));
  auto descriptor = std::make_shared<Descriptor>(shard, fd);
  prepare_connection(fd);
  if (::connect(fd, address.get(), address.size) != 0) {
    if (errno != EINPROGRESS)
      co_return fail(connect_code(errno),
                     fmt::format("cannot connect to {}: {}", name, reason(errno)));
    const auto timer = shard.run_at(deadline, [descriptor] { descriptor->close(); });
    Descriptor::Wait wait(descriptor, Descriptor::Wait::For::writable);
    co_await wait;
    shard.cancel_timer(timer);
    if (descriptor->closed())
      co_return fail(Code::timed_out, fmt::format("cannot connect to {}: timed out", name));
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0)
      co_return fail(connect_code(error),
                     fmt::format("cannot connect to {}: {}", name, reason(error)));
  }
  co_return std::make_unique<RealSocket>(std::move(descriptor), name);
}

}  // namespace

Result<std::unique_ptr<Listener>> RealNetwork::listen(const std::string& host, uint16_t port) {
  TRY(auto addresses, resolve(host, port));
  // "localhost" is both ::1 and 127.0.0.1, and clients mean the latter. Any IPv6 address, on the
  // other hand, takes both families.
  if (!host.empty())
    std::ranges::partition(addresses,
                           [](const Address& address) { return address.family() == AF_INET; });
  const std::string name = fmt::format("{}:{}", host.empty() ? "*" : host, port);
  Result<std::shared_ptr<Descriptor>> bound =
      fail(Code::invalid_argument, fmt::format("{} has no address", name));
  for (const Address& address : addresses) {
    bound = bind_one(shard_, address, name);
    if (bound) break;
  }
  if (!bound) return fail(std::move(bound).error());
  Address local;
  local.size = sizeof local.storage;
  if (::getsockname((*bound)->fd(), reinterpret_cast<sockaddr*>(&local.storage), &local.size) != 0)
    return fail(Code::io_error, fmt::format("cannot listen on {}: {}", name, reason(errno)));
  return std::make_unique<RealListener>(shard_, std::move(*bound), local.port());
}

Task<Result<std::unique_ptr<Socket>>> RealNetwork::connect(const std::string& host, uint16_t port,
                                                           Instant deadline) {
  RealShard& shard = shard_;
  CO_TRY(const auto addresses, co_await addresses_of(host, port));
  Result<std::unique_ptr<Socket>> outcome =
      fail(Code::invalid_argument, fmt::format("host '{}' has no address", host));
  std::optional<Error> not_refused;
  for (const Address& address : addresses) {
    if (shard.now() >= deadline)
      co_return fail(Code::timed_out,
                     fmt::format("cannot connect to {}:{}: timed out", host, port));
    outcome = co_await connect_one(shard, address, deadline);
    if (outcome || outcome.error().code == Code::timed_out) co_return outcome;
    if (outcome.error().code != Code::unavailable) not_refused = outcome.error();
  }
  // Refused by the host only if by each of its addresses.
  if (not_refused) co_return fail(std::move(*not_refused));
  co_return outcome;
}

Task<Result<std::vector<Address>>> RealNetwork::addresses_of(std::string host, uint16_t port) {
  auto addresses = resolve_number(host, port);
  if (addresses) co_return addresses;
  auto asking = [host, port] { return resolve(host, port); };
  addresses = co_await offload(shard_, std::move(asking));
  if (addresses || addresses.error().code != Code::unavailable) co_return addresses;
  co_return fail(Code::io_error, addresses.error().message);  // the resolver, not the host
}

Task<Result<std::vector<std::string>>> RealNetwork::look_up(const std::string& host) {
  CO_TRY(const auto addresses, co_await addresses_of(host, 0));
  std::vector<std::string> numbers;
  for (const Address& address : addresses) {
    std::string number = address.host();
    if (std::ranges::find(numbers, number) == numbers.end()) numbers.push_back(std::move(number));
  }
  co_return numbers;
}

}  // namespace paceline::env
