#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::client {

// The client's side of one SCRAM exchange (RFC 5802, 7677), without channel binding. Pure.
class Scram {
 public:
  enum class Hash : uint8_t { sha256, sha512 };
  // `nonce`: printable, without commas, never the same twice.
  Scram(Hash hash, std::string_view username, std::string password, std::string nonce);

  std::string first() const;
  // What answers the server's first message. corrupt: it is none, or not in answer to ours.
  Result<std::string> answer(std::string_view server_first);
  // Of the server's last message, after answer(): whether it knows the password as well.
  // permission_denied: it does not, or it does not believe us.
  Result<void> check(std::string_view server_last) const;

 private:
  const Hash hash_;
  const std::string password_, nonce_, bare_;
  std::string proof_of_server_;  // in base64, as it has to say it
};

}  // namespace paceline::client
