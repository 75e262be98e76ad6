#pragma once

#include <map>
#include <memory>
#include <string>

#include "env/disk.h"
#include "net/tls.h"

namespace paceline::client {

// How a connection is protected, and who its client is. As it stands: in plain bytes, by nobody.
struct Security {
  std::shared_ptr<const net::TlsContext> tls;  // null: no TLS
  std::string mechanism;  // SASL's: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: none
  std::string username, password;
};

// From settings by librdkafka's names; those that are about something else are not looked at.
// unsupported: librdkafka can do it, and this client cannot. invalid_argument: a setting that is
// missing or makes no sense, a file that cannot be read or used. No error repeats a secret.
Result<Security> read_security(env::Disk& disk, const std::map<std::string, std::string>& settings);

}  // namespace paceline::client
