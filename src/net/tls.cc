#include "net/tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>
#include <vector>

#include "env/sync.h"

namespace paceline::net {
namespace {

// What one call of the lower socket carries: large enough that a body is not sent record by record.
constexpr size_t kCipherBytesMax = 256u << 10;

// Both halves of a connection, kept alive by the calls that run. OpenSSL is given bytes and asked
// for bytes: it never touches a socket.
class TlsSocket final : public env::Socket {
 public:
  TlsSocket(env::Shard& shard, std::shared_ptr<const TlsContext> context,
            std::unique_ptr<env::Socket> lower)
      : state_(std::make_shared<State>(shard, std::move(context), std::move(lower))) {}
  ~TlsSocket() override { close(); }

  SSL* ssl() const { return state_->ssl; }
  Task<Result<void>> handshake() { return shake(state_); }
  Task<Result<size_t>> read_some(MutableBytes into) override { return read_from(state_, into); }
  Task<Result<void>> write(std::span<const Slice> pieces) override {
    return write_to(state_, std::vector<Slice>(pieces.begin(), pieces.end()));
  }
  void close() override {
    state_->closed = true;
    state_->lower->close();
  }
  std::string peer() const override { return state_->lower->peer(); }

 private:
  struct State {
    State(env::Shard& shard, std::shared_ptr<const TlsContext> wanted,
          std::unique_ptr<env::Socket> below)
        : context(std::move(wanted)), lower(std::move(below)), flushed(shard) {
      ssl = SSL_new(context->get());
      CHECK(ssl != nullptr);
      in = BIO_new(BIO_s_mem());
      out = BIO_new(BIO_s_mem());
      CHECK(in != nullptr && out != nullptr);
      SSL_set_bio(ssl, in, out);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { SSL_free(ssl); }

    const std::shared_ptr<const TlsContext> context;
    const std::unique_ptr<env::Socket> lower;
    SSL* ssl = nullptr;
    BIO* in = nullptr;
    BIO* out = nullptr;
    bool closed = false;
    bool flushing = false;
    env::Event flushed;
    std::array<std::byte, 32u << 10> cipher;
  };
  using StatePtr = std::shared_ptr<State>;

  static Task<Result<void>> shake(StatePtr state);
  static Task<Result<size_t>> read_from(StatePtr state, MutableBytes into);
  static Task<Result<void>> write_to(StatePtr state, std::vector<Slice> pieces);
  static Task<Result<void>> flush(StatePtr state);
  static Task<Result<void>> receive(StatePtr state);

  const StatePtr state_;
};

std::unexpected<Error> tls_error(SSL* ssl) {
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(error);
  const char* text = ERR_reason_error_string(error);
  const long verified = SSL_get_verify_result(ssl);
  ERR_clear_error();
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
    return fail(Code::permission_denied, fmt::format("the certificate is not trusted: {}",
                                                     X509_verify_cert_error_string(verified)));
  // The other side's alerts have numbers from here on: it does not believe us.
  const bool alert = reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
  return fail(alert ? Code::permission_denied : Code::io_error,
              fmt::format("TLS failed: {}", text ? text : "unknown reason"));
}

// Sends what OpenSSL has ready; one at a time, and whoever waits finds his own bytes sent.
Task<Result<void>> TlsSocket::flush(StatePtr state) {
  while (state->flushing) co_await state->flushed.wait();
  state->flushing = true;
  struct Guard {
    State* state;
    ~Guard() {
      state->flushing = false;
      state->flushed.notify_all();
    }
  } guard{state.get()};
  for (;;) {
    const size_t pending = std::min(BIO_ctrl_pending(state->out), size_t{INT_MAX});
    if (pending == 0) co_return Result<void>{};
    Buffer buffer = Buffer::allocate(pending);
    const int count = BIO_read(state->out, buffer.data(), static_cast<int>(pending));
    CHECK(count == static_cast<int>(pending));
    const Slice slice(std::move(buffer));
    CO_TRY_VOID(co_await state->lower->write(std::span(&slice, 1)));
  }
}

Task<Result<void>> TlsSocket::receive(StatePtr state) {
  auto count = co_await state->lower->read_some(state->cipher);
  if (!count) co_return fail(std::move(count).error());
  CHECK(BIO_write(state->in, state->cipher.data(), static_cast<int>(*count)) ==
        static_cast<int>(*count));
  co_return Result<void>{};
}

Task<Result<void>> TlsSocket::shake(StatePtr state) {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(state->ssl);
    const int why = SSL_get_error(state->ssl, done);
    Result<void> failed;
    if (done != 1 && why != SSL_ERROR_WANT_READ) failed = tls_error(state->ssl);
    // Also what tells the other side why it failed.
    auto sent = co_await flush(state);
    if (!failed) co_return failed;
    if (done == 1) co_return sent;
    // A server that has hung up may have said why before.
    auto received = co_await receive(state);
    if (!received) co_return received;
  }
}

Task<Result<size_t>> TlsSocket::read_from(StatePtr state, MutableBytes into) {
  CHECK(!into.empty());
  for (;;) {
    ERR_clear_error();
    const int room = static_cast<int>(std::min(into.size(), size_t{INT_MAX}));
    const int count = SSL_read(state->ssl, into.data(), room);
    const int why = count > 0 ? SSL_ERROR_NONE : SSL_get_error(state->ssl, count);
    Result<size_t> failed = 0;
    if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
      failed = tls_error(state->ssl);
    // A new key, or an alert. While somebody writes it goes with his bytes.
    if (BIO_ctrl_pending(state->out) > 0 && !state->flushing) (void)co_await flush(state);
    if (!failed) co_return failed;
    if (count > 0) co_return static_cast<size_t>(count);
    if (why == SSL_ERROR_ZERO_RETURN)
      co_return fail(Code::closed, "the peer closed the connection");
    auto received = co_await receive(state);
    if (received) continue;
    if (received.error().code == Code::closed && !state->closed)
      co_return fail(Code::io_error, "the connection ended without TLS's own end");
    co_return fail(std::move(received).error());
  }
}

Task<Result<void>> TlsSocket::write_to(StatePtr state, std::vector<Slice> pieces) {
  for (const Slice& piece : pieces) {
    Bytes rest = piece.bytes();
    while (!rest.empty()) {
      ERR_clear_error();
      const int room = static_cast<int>(std::min(rest.size(), kCipherBytesMax));
      const int count = SSL_write(state->ssl, rest.data(), room);
      if (count <= 0) co_return tls_error(state->ssl);
      rest = rest.subspan(static_cast<size_t>(count));
      if (BIO_ctrl_pending(state->out) >= kCipherBytesMax) CO_TRY_VOID(co_await flush(state));
    }
  }
  co_return co_await flush(state);
}

Result<void> expect_name(SSL* ssl, const std::string& host, bool proved) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  std::array<unsigned char, 16> number;
  const bool is_number = ::inet_pton(AF_INET, host.c_str(), number.data()) == 1 ||
                         ::inet_pton(AF_INET6, host.c_str(), number.data()) == 1;
  bool set = false;
  if (is_number) {
    set = !proved || X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1;
  } else {
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    set = (!proved || SSL_set1_host(ssl, host.c_str()) == 1) &&
          SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  }
  if (!set)
    return fail(Code::invalid_argument, fmt::format("'{}' is no name that TLS can prove", host));
  return {};
}

Task<Result<std::unique_ptr<env::Socket>>> shake_hands(env::Shard& shard,
                                                       std::unique_ptr<TlsSocket> socket,
                                                       env::Instant deadline) {
  X509_VERIFY_PARAM_set_time(SSL_get0_param(socket->ssl()), shard.wall_ms() / 1000);
  bool late = false;
  TlsSocket& open = *socket;
  const auto timer = shard.run_at(deadline, [&open, &late] {
    late = true;
    open.close();
  });
  auto shaken = co_await open.handshake();
  shard.cancel_timer(timer);
  const std::string peer = open.peer();
  if (late) co_return fail(Code::timed_out, fmt::format("no TLS with {}: timed out", peer));
  if (!shaken)
    co_return fail(shaken.error().code,
                   fmt::format("no TLS with {}: {}", peer, shaken.error().message));
  co_return std::unique_ptr<env::Socket>(std::move(socket));
}

}  // namespace

Task<Result<std::unique_ptr<env::Socket>>> tls_connect(env::Shard& shard,
                                                       std::shared_ptr<const TlsContext> context,
                                                       std::unique_ptr<env::Socket> lower,
                                                       std::string host, env::Instant deadline) {
  const bool proved = context->proves_name();
  auto socket = std::make_unique<TlsSocket>(shard, std::move(context), std::move(lower));
  CO_TRY_VOID(expect_name(socket->ssl(), host, proved));
  SSL_set_connect_state(socket->ssl());
  co_return co_await shake_hands(shard, std::move(socket), deadline);
}

Task<Result<std::unique_ptr<env::Socket>>> tls_accept(env::Shard& shard,
                                                      std::shared_ptr<const TlsContext> context,
                                                      std::unique_ptr<env::Socket> lower,
                                                      env::Instant deadline) {
  auto socket = std::make_unique<TlsSocket>(shard, std::move(context), std::move(lower));
  SSL_set_accept_state(socket->ssl());
  co_return co_await shake_hands(shard, std::move(socket), deadline);
}

}  // namespace paceline::net
