#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "net/tls.h"

namespace paceline::net {
namespace {

std::unexpected<Error> refuse(std::string why) {
  ERR_clear_error();
  return fail(Code::invalid_argument, std::move(why));
}

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> memory_of(const std::string& text) {
  Owned<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(bio);
  return bio;
}

// Keys with a password are not supported: nobody is asked for one.
int no_password(char*, int, int, void*) {
  return -1;
}

// All certificates of `pem`, in order; `take` keeps a reference of its own.
template <class Take>
Result<size_t> each_certificate(const std::string& pem, Take take) {
  const auto bio = memory_of(pem);
  size_t count = 0;
  for (;; ++count) {
    const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (!certificate) {
      if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse("a certificate cannot be read");
      ERR_clear_error();
      return count;
    }
    if (!take(certificate.get(), count)) return refuse("a certificate cannot be used");
  }
}

Result<void> trust(SSL_CTX* context, const std::string& pem) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  TRY(const size_t count, each_certificate(pem, [store](X509* certificate, size_t) {
        return X509_STORE_add_cert(store, certificate) == 1;
      }));
  if (count == 0) return refuse("there is no certificate of an authority");
  return {};
}

Result<void> show(SSL_CTX* context, const std::string& certificate_pem,
                  const std::string& key_pem) {
  TRY(const size_t count,
      each_certificate(certificate_pem, [context](X509* certificate, size_t index) {
        return index == 0 ? SSL_CTX_use_certificate(context, certificate) == 1
                          : SSL_CTX_add1_chain_cert(context, certificate) == 1;
      }));
  if (count == 0) return refuse("there is no certificate");
  const auto bio = memory_of(key_pem);
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) return refuse("the private key cannot be read");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return refuse("the private key does not belong to the certificate");
  return {};
}

std::shared_ptr<const TlsContext> make(const SSL_METHOD* method, bool proves_name) {
  SSL_CTX* context = SSL_CTX_new(method);
  CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  return std::make_shared<const TlsContext>(context, proves_name);
}

}  // namespace

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  auto context = make(TLS_client_method(), options.proves_name);
  SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER, nullptr);
  TRY_VOID(trust(context->get(), options.ca_pem));
  if (!options.certificate_pem.empty())
    TRY_VOID(show(context->get(), options.certificate_pem, options.key_pem));
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  auto context = make(TLS_server_method(), false);
  TRY_VOID(show(context->get(), options.certificate_pem, options.key_pem));
  // Tickets would need keys that all brokers share.
  SSL_CTX_set_options(context->get(), SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context->get(), SSL_SESS_CACHE_OFF);
  if (!options.client_ca_pem.empty()) {
    TRY_VOID(trust(context->get(), options.client_ca_pem));
    SSL_CTX_set_verify(
        context->get(),
        SSL_VERIFY_PEER |
            (options.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
  } else if (options.client_certificate_required) {
    return refuse("clients need a certificate, and no authority is trusted");
  }
  return context;
}

}  // namespace paceline::net
