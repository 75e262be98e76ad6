#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::object {

// Variables of the process's environment, handed in by whoever may ask for them.
using Environment = std::map<std::string, std::string>;

// What an s3:// URL says. Secrets may stand in it; redacted() is what may be shown.
struct S3Location {
  enum class Sse { none, s3, kms };
  enum class SignPayload { automatic, always, never };  // automatic: where there is no TLS

  std::string bucket;
  std::string prefix;  // without slashes at its ends; may be empty
  std::string region;
  std::string host;  // of the endpoint
  uint16_t port = 443;
  bool tls = true;
  bool path_style = false;
  std::string ca_file;
  Sse sse = Sse::none;
  std::string kms_key;  // empty: the bucket's own
  bool checksum = true;
  std::optional<uint64_t> parts_from;  // bytes from which on a body goes in parts
  SignPayload sign_payload = SignPayload::automatic;
  std::string credentials;  // the source asked for: env, profile:NAME, web-identity, ...
  std::string access_key;   // as written: may be file:PATH or env:NAME
  std::string secret_key;
  std::string session_token;

  std::string redacted() const;
};

// s3://bucket/prefix?region=&endpoint=&pathStyle=&caFile=&sse=&checksum=&partsFrom=&signPayload=
// &credentials=&accessKey=&secretKey=&sessionToken=. The region defaults to AWS_REGION and
// AWS_DEFAULT_REGION, the endpoint to AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and Amazon's own.
// invalid_argument, with one sentence that holds no secret.
Result<S3Location> parse_s3_url(std::string_view url, const Environment& environment);

// %41 to A; nothing if it is cut off or no number. '+' stays.
Result<std::string> url_decode(std::string_view text);
// All but letters, digits and -._~ as %41; '/' stays if `path`.
std::string url_encode(std::string_view text, bool path);

// http://host:port or https://host; nothing else.
struct Endpoint {
  std::string host;
  uint16_t port = 443;
  bool tls = true;
  std::string path;  // what follows, "" or "/..."
};
Result<Endpoint> parse_endpoint(std::string_view url);

}  // namespace paceline::object
