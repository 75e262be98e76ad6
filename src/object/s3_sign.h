#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

// Amazon's Signature Version 4, over strings alone.

namespace paceline::object {

struct SigningKeys {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: long-lived keys
};

struct SignedRequest {
  std::string method;
  std::string path;  // as it is sent: encoded, from the first slash
  std::vector<std::pair<std::string, std::string>> query;  // not encoded, in any order
  std::map<std::string, std::string> headers;              // all are signed; `host` must be there
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

std::string hex_of(Bytes bytes);
std::string base64_of(Bytes bytes);
std::string sha256_hex(const std::vector<Slice>& pieces);
std::string md5_base64(std::string_view text);

// Derives the key of a day once. Of one shard.
class Signer {
 public:
  Signer(std::string region, std::string service)
      : region_(std::move(region)), service_(std::move(service)) {}

  // Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and authorization, and returns what
  // goes on the request line. What was signed must be sent as it is.
  std::string sign(SignedRequest& request, const SigningKeys& keys, int64_t wall_ms,
                   std::string_view payload_sha256);

 private:
  const std::string& day_key(const SigningKeys& keys, const std::string& date);

  const std::string region_;
  const std::string service_;
  std::string key_secret_;
  std::string key_date_;
  std::string key_;
};

// "20130524T000000Z"
std::string amz_time(int64_t wall_ms);

}  // namespace paceline::object
