#pragma once

#include <memory>
#include <string>

#include "env/network.h"

// TLS over any byte stream of env, in the simulated world too. Certificates and keys are handed in
// as PEM text: nothing here reads a file, and validity is judged by the shard's own clock.

typedef struct ssl_ctx_st SSL_CTX;

namespace paceline::net {

struct TlsClientOptions {
  std::string ca_pem;           // who is trusted; one or more certificates
  std::string certificate_pem;  // our own chain and key, if the server asks for them
  std::string key_pem;
  bool proves_name = true;  // false: any certificate of whom `ca_pem` trusts will do
};
struct TlsServerOptions {
  std::string certificate_pem;  // the server's own first, then its issuers
  std::string key_pem;
  std::string client_ca_pem;  // whose clients are trusted; none: they need no certificate
  bool client_certificate_required = false;
};

// What all connections of one kind share. Immutable, so any shard may use it.
class TlsContext {
 public:
  // invalid_argument, with one sentence that holds nothing of a key.
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientOptions& options);
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerOptions& options);

  TlsContext(SSL_CTX* context, bool proves_name) : context_(context), proves_name_(proves_name) {}
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();
  SSL_CTX* get() const { return context_; }
  bool proves_name() const { return proves_name_; }

 private:
  SSL_CTX* context_;
  const bool proves_name_;
};

// A TLS connection over `lower`, which it takes over. The server must prove that it is `host`, a
// name or an address in numbers, unless `context` says otherwise; a name is also sent, so that it
// can choose its certificate.
// permission_denied: the other side has not proved who it is, or does not believe us; io_error: it
// speaks no TLS; timed_out, closed. A stream that ends without TLS's own end is an io_error.
Task<Result<std::unique_ptr<env::Socket>>> tls_connect(env::Shard& shard,
                                                       std::shared_ptr<const TlsContext> context,
                                                       std::unique_ptr<env::Socket> lower,
                                                       std::string host, env::Instant deadline);
Task<Result<std::unique_ptr<env::Socket>>> tls_accept(env::Shard& shard,
                                                      std::shared_ptr<const TlsContext> context,
                                                      std::unique_ptr<env::Socket> lower,
                                                      env::Instant deadline);

}  // namespace paceline::net
