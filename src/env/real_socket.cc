#include "env/real_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

namespace paceline::env {
namespace {

std::unexpected<Error> socket_error(int error, std::string_view what) {
  if (error == EPIPE || error == EBADF) return fail(Code::closed, "the connection is closed");
  return fail(Code::io_error,
              fmt::format("{} failed: {}", what, std::generic_category().message(error)));
}

std::unexpected<Error> closed_here() {
  return fail(Code::closed, "the connection was closed here");
}

// What one call sends at most, some 0.2 ms. A reader that keeps up takes the whole of a big answer
// without ever letting the socket fill up, and the other connections of the shard want their turn.
constexpr size_t kSendBytesMax = 512u << 10;

// Sends once from `pieces`, leaving out the first `skip` bytes of the first one. Bytes sent, or
// -errno.
ssize_t send_once(int fd, std::span<const Slice> pieces, size_t skip) {
  constexpr size_t kVectors = 64;
  std::array<iovec, kVectors> vectors;
  size_t count = 0;
  size_t left = kSendBytesMax;
  for (const Slice& piece : pieces) {
    if (count == kVectors || left == 0) break;
    const Bytes rest = count == 0 ? piece.bytes().subspan(skip) : piece.bytes();
    const size_t bytes = std::min(rest.size(), left);
    vectors[count++] = {const_cast<std::byte*>(rest.data()), bytes};
    left -= bytes;
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  for (;;) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno != EINTR) return -errno;
  }
}

// Moves past `sent` bytes, and past empty pieces.
void advance(std::span<const Slice>& pieces, size_t& skip, size_t sent) {
  while (!pieces.empty() && sent >= pieces.front().size() - skip) {
    sent -= pieces.front().size() - skip;
    pieces = pieces.subspan(1);
    skip = 0;
  }
  skip += sent;
}

}  // namespace

void prepare_connection(int fd) {
  auto set = [fd](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);  // best effort: none is vital
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

Task<Result<size_t>> RealSocket::read_some(MutableBytes into) {
  CHECK(!into.empty());
  const std::shared_ptr<Descriptor> descriptor = descriptor_;
  if (descriptor->closed()) co_return closed_here();
  // A stream that keeps filling the buffer is read without the loop, but not for ever: the other
  // connections of the shard want their turn.
  constexpr int kReadsAtOnceMax = 16;
  if (more_expected_ && reads_at_once_ < kReadsAtOnceMax) {
    const ssize_t count = ::recv(descriptor->fd(), into.data(), into.size(), MSG_DONTWAIT);
    if (count == 0) co_return fail(Code::closed, "the peer closed the connection");
    if (count > 0) {
      ++reads_at_once_;
      more_expected_ = static_cast<size_t>(count) == into.size();
      co_return static_cast<size_t>(count);
    }
    if (errno != EAGAIN && errno != EINTR) co_return socket_error(errno, "read");
  }
  Descriptor::Wait wait(descriptor, Descriptor::Wait::For::bytes, into);
  const auto outcome = co_await wait;
  if (descriptor->closed()) co_return closed_here();
  if (outcome.error == boost::asio::error::eof)
    co_return fail(Code::closed, "the peer closed the connection");
  if (outcome.error) co_return socket_error(outcome.error.value(), "read");
  reads_at_once_ = 0;
  more_expected_ = outcome.count == into.size();
  co_return outcome.count;
}

Task<Result<void>> RealSocket::write(std::span<const Slice> pieces) {
  const std::shared_ptr<Descriptor> descriptor = descriptor_;
  std::vector<Slice> kept;
  size_t skip = 0;
  size_t sent_at_once = 0;
  advance(pieces, skip, 0);
  while (!pieces.empty()) {
    if (descriptor->closed()) co_return closed_here();
    const ssize_t sent = send_once(descriptor->fd(), pieces, skip);
    if (sent >= 0) {
      advance(pieces, skip, static_cast<size_t>(sent));
      sent_at_once += static_cast<size_t>(sent);
      if (pieces.empty() || sent_at_once < kSendBytesMax) continue;
    } else if (sent != -EAGAIN) {
      co_return socket_error(static_cast<int>(-sent), "write");
    }
    sent_at_once = 0;
    if (kept.empty()) {
      kept.assign(pieces.begin(), pieces.end());
      pieces = kept;
    }
    Descriptor::Wait wait(descriptor, Descriptor::Wait::For::writable);
    co_await wait;
  }
  co_return Result<void>{};
}

}  // namespace paceline::env
