#include "client/security.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace paceline::client {
namespace {

constexpr uint64_t kPemBytesMax = 4u << 20;
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

using Settings = std::map<std::string, std::string>;

std::string value_of(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string() : found->second;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The text of `NAME.pem`, or what is in the file of `NAME.location`; neither: nothing.
Result<std::string> pem_of(env::Disk& disk, const Settings& settings, const std::string& name) {
  if (std::string pem = value_of(settings, name + ".pem"); !pem.empty()) return pem;
  const std::string path = value_of(settings, name + ".location");
  if (path.empty()) return std::string();
  auto text = env::read_file(disk, path, kPemBytesMax);
  if (!text)
    return fail(Code::invalid_argument, fmt::format("{}.location: {}", name, text.error().message));
  return text;
}

Result<std::shared_ptr<const net::TlsContext>> tls_of(env::Disk& disk, const Settings& settings) {
  for (const char* name : {"ssl.key.password", "ssl.keystore.location", "ssl.engine.location"})
    if (!value_of(settings, name).empty())
      return fail(Code::unsupported, fmt::format("there is no support for {}", name));
  if (lower(value_of(settings, "enable.ssl.certificate.verification")) == "false")
    return fail(
        Code::unsupported,
        "a certificate is always verified: name its authority in ssl.ca.location instead of "
        "enable.ssl.certificate.verification=false");
  net::TlsClientOptions options;
  options.proves_name =
      lower(value_of(settings, "ssl.endpoint.identification.algorithm")) != "none";
  TRY(options.ca_pem, pem_of(disk, settings, "ssl.ca"));
  if (options.ca_pem.empty()) {
    TRY(options.ca_pem, pem_of(disk, {{"ssl.ca.location", kSystemAuthorities}}, "ssl.ca"));
  }
  TRY(options.certificate_pem, pem_of(disk, settings, "ssl.certificate"));
  TRY(options.key_pem, pem_of(disk, settings, "ssl.key"));
  return net::TlsContext::client(options);
}

Result<void> read_sasl(const Settings& settings, Security& security) {
  security.mechanism = value_of(settings, "sasl.mechanism");
  if (security.mechanism.empty()) security.mechanism = value_of(settings, "sasl.mechanisms");
  if (security.mechanism.empty()) security.mechanism = "GSSAPI";  // librdkafka's default
  if (security.mechanism != "PLAIN" && security.mechanism != "SCRAM-SHA-256" &&
      security.mechanism != "SCRAM-SHA-512")
    return fail(Code::unsupported,
                fmt::format("there is no support for sasl.mechanism {}: PLAIN, SCRAM-SHA-256 and "
                            "SCRAM-SHA-512 are known",
                            security.mechanism));
  security.username = value_of(settings, "sasl.username");
  security.password = value_of(settings, "sasl.password");
  if (security.username.empty() || security.password.empty())
    return fail(Code::invalid_argument, "SASL needs sasl.username and sasl.password");
  return {};
}

}  // namespace

Result<Security> read_security(env::Disk& disk, const Settings& settings) {
  const std::string protocol = lower(value_of(settings, "security.protocol"));
  const bool sasl = protocol.starts_with("sasl_"), tls = protocol.ends_with("ssl");
  if (!sasl && !tls && !protocol.empty() && protocol != "plaintext")
    return fail(Code::invalid_argument, fmt::format("'{}' is no security.protocol", protocol));
  Security security;
  if (tls) {
    TRY(security.tls, tls_of(disk, settings));
  }
  if (sasl) TRY_VOID(read_sasl(settings, security));
  return security;
}

}  // namespace paceline::client
