#include "object/s3_location.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace paceline::object {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

std::optional<int> hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Amazon's rules, less those that no store enforces.
bool is_bucket(std::string_view name) {
  auto fine = [](char c) { return (is_alphanumeric(c) || c == '-' || c == '.' || c == '_'); };
  return name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, fine) &&
         is_alphanumeric(name.front()) && is_alphanumeric(name.back());
}

bool is_prefix(std::string_view prefix) {
  auto fine = [](char c) { return c > ' ' && c < 0x7f && c != '\\'; };
  return prefix.size() <= 500 && std::ranges::all_of(prefix, fine) && !prefix.starts_with('/') &&
         prefix.find("//") == std::string_view::npos;
}

Result<bool> read_flag(std::string_view name, const std::string& value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return refuse(fmt::format("{} in an s3:// URL is 'true' or 'false'", name));
}

Result<void> read_sse(S3Location& location, const std::string& value) {
  if (value.empty() || value == "none") {
    location.sse = S3Location::Sse::none;
  } else if (value == "AES256") {
    location.sse = S3Location::Sse::s3;
  } else if (value == "aws:kms" || value.starts_with("aws:kms:")) {
    location.sse = S3Location::Sse::kms;
    location.kms_key = value.size() > 8 ? value.substr(8) : std::string();
  } else {
    return refuse("sse in an s3:// URL is 'AES256', 'aws:kms' or 'aws:kms:KEY'");
  }
  return {};
}

Result<void> read_endpoint(S3Location& location, const std::string& value) {
  TRY(const Endpoint endpoint, parse_endpoint(value));
  if (!endpoint.path.empty() && endpoint.path != "/")
    return refuse("the endpoint of an s3:// URL has no path");
  location.host = endpoint.host;
  location.port = endpoint.port;
  location.tls = endpoint.tls;
  return {};
}

// At least one whole part: 5 MiB is the smallest that S3 takes.
Result<uint64_t> read_parts_from(const std::string& value) {
  uint64_t bytes = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, bytes);
  if (error != std::errc{} || stopped != end || bytes < (5ull << 20) || bytes > (5ull << 30))
    return refuse("partsFrom of an s3:// URL is a number of bytes, 5242880 to 5368709120");
  return bytes;
}

// What the parameters say that others depend on.
struct Seen {
  std::optional<bool> path_style;
  bool endpoint = false;
};

Result<void> read_parameter(S3Location& location, Seen& seen, const std::string& name,
                            const std::string& value) {
  if (name == "region") {
    location.region = value;
  } else if (name == "endpoint") {
    TRY_VOID(read_endpoint(location, value));
    seen.endpoint = true;
  } else if (name == "pathStyle") {
    TRY(seen.path_style, read_flag(name, value));
  } else if (name == "caFile") {
    location.ca_file = value;
  } else if (name == "sse") {
    TRY_VOID(read_sse(location, value));
  } else if (name == "checksum") {
    TRY(location.checksum, read_flag(name, value));
  } else if (name == "partsFrom") {
    TRY(location.parts_from, read_parts_from(value));
  } else if (name == "signPayload") {
    TRY(const bool sign, read_flag(name, value));
    location.sign_payload = sign ? S3Location::SignPayload::always : S3Location::SignPayload::never;
  } else if (name == "credentials") {
    location.credentials = value;
  } else if (name == "accessKey") {
    location.access_key = value;
  } else if (name == "secretKey") {
    location.secret_key = value;
  } else if (name == "sessionToken") {
    location.session_token = value;
  } else {
    return refuse(fmt::format(
        "an s3:// URL has no parameter '{}'; there are region, endpoint, pathStyle, caFile, sse, "
        "checksum, partsFrom, signPayload, credentials, accessKey, secretKey and sessionToken",
        name.substr(0, 40)));
  }
  return {};
}

Result<void> read_query(S3Location& location, Seen& seen, std::string_view query) {
  std::vector<std::string> names;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return refuse("a parameter of an s3:// URL has no value");
    TRY(const std::string name, url_decode(pair.substr(0, equals)));
    TRY(const std::string value, url_decode(pair.substr(equals + 1)));
    if (std::ranges::find(names, name) != names.end())
      return refuse(fmt::format("'{}' stands twice in an s3:// URL", name.substr(0, 40)));
    names.push_back(name);
    TRY_VOID(read_parameter(location, seen, name, value));
  }
  return {};
}

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

Result<void> add_defaults(S3Location& location, Seen& seen, const Environment& environment) {
  for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    const std::string value = variable(environment, name);
    if (seen.endpoint || value.empty()) continue;
    TRY_VOID(read_endpoint(location, value));
    seen.endpoint = true;
  }
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
    if (location.region.empty()) location.region = variable(environment, name);
  if (location.region.empty() && seen.endpoint) location.region = "us-east-1";
  if (location.region.empty()) return refuse("an s3:// URL needs region= or AWS_REGION");
  if (!std::ranges::all_of(location.region,
                           [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; }))
    return refuse("the region of an s3:// URL is letters, digits and dashes");
  if (!seen.endpoint)
    location.host = fmt::format("s3.{}.amazonaws.com{}", location.region,
                                location.region.starts_with("cn-") ? ".cn" : "");
  // The certificate of *.s3.amazonaws.com does not cover a bucket with dots.
  const bool dots = location.bucket.find('.') != std::string::npos;
  location.path_style = seen.path_style.value_or(seen.endpoint || (dots && location.tls));
  return {};
}

}  // namespace

Result<std::string> url_decode(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    const auto high = at + 2 < text.size() ? hex(text[at + 1]) : std::nullopt;
    const auto low = at + 2 < text.size() ? hex(text[at + 2]) : std::nullopt;
    if (!high || !low) return refuse("a '%' is not followed by two digits");
    out += static_cast<char>(*high * 16 + *low);
    at += 2;
  }
  return out;
}

std::string url_encode(std::string_view text, bool path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || (path && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  Endpoint endpoint;
  if (url.starts_with("https://")) {
    url.remove_prefix(8);
  } else if (url.starts_with("http://")) {
    url.remove_prefix(7);
    endpoint.tls = false;
    endpoint.port = 80;
  } else {
    return refuse("an endpoint starts with http:// or https://");
  }
  const size_t slash = url.find('/');
  if (slash != std::string_view::npos) endpoint.path = std::string(url.substr(slash));
  std::string_view name = url.substr(0, slash);
  const size_t bracket = name.starts_with('[') ? name.find(']') : 0;
  if (bracket == std::string_view::npos) return refuse("an endpoint has no host");
  const size_t colon = name.find(':', bracket);
  endpoint.host = std::string(bracket > 0 ? name.substr(1, bracket - 1) : name.substr(0, colon));
  if (colon != std::string_view::npos) {
    const std::string_view port = name.substr(colon + 1);
    const auto [stop, error] =
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc{} || stop != port.data() + port.size() || endpoint.port == 0)
      return refuse("the port of an endpoint is no number");
  }
  auto fine = [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == ':'; };
  if (endpoint.host.empty() || !std::ranges::all_of(endpoint.host, fine) ||
      !std::ranges::all_of(endpoint.path, [](char c) { return c > ' ' && c < 0x7f; }))
    return refuse("an endpoint has no host");
  return endpoint;
}

Result<S3Location> parse_s3_url(std::string_view url, const Environment& environment) {
  if (!url.starts_with("s3://")) return refuse("the URL of a bucket starts with s3://");
  url.remove_prefix(5);
  const size_t question = url.find('?');
  std::string_view path = url.substr(0, question);
  S3Location location;
  location.bucket = std::string(path.substr(0, path.find('/')));
  if (location.bucket.find('@') != std::string::npos)
    return refuse("keys stand in accessKey= and secretKey= of an s3:// URL, not before an '@'");
  if (!is_bucket(location.bucket)) return refuse("an s3:// URL has no bucket: s3://BUCKET/PREFIX");
  path.remove_prefix(std::min(path.size(), location.bucket.size() + 1));
  while (path.ends_with('/')) path.remove_suffix(1);
  TRY(location.prefix, url_decode(path));
  if (!is_prefix(location.prefix))
    return refuse("the prefix of an s3:// URL is printable ASCII without empty parts");
  Seen seen;
  if (question != std::string_view::npos)
    TRY_VOID(read_query(location, seen, url.substr(question + 1)));
  if (location.access_key.empty() != location.secret_key.empty())
    return refuse("an s3:// URL has accessKey= and secretKey= or neither");
  if (!location.access_key.empty() && !location.credentials.empty())
    return refuse("an s3:// URL has credentials= or accessKey=, not both");
  TRY_VOID(add_defaults(location, seen, environment));
  return location;
}

std::string S3Location::redacted() const {
  std::string out = fmt::format("s3://{}/{}?region={}&endpoint={}://{}:{}&pathStyle={}", bucket,
                                prefix, region, tls ? "https" : "http", host, port, path_style);
  if (!ca_file.empty()) out += "&caFile=" + ca_file;
  if (sse == Sse::s3) out += "&sse=AES256";
  if (sse == Sse::kms) out += kms_key.empty() ? "&sse=aws:kms" : "&sse=aws:kms:" + kms_key;
  if (!checksum) out += "&checksum=false";
  if (parts_from) out += fmt::format("&partsFrom={}", *parts_from);
  if (sign_payload != SignPayload::automatic)
    out += sign_payload == SignPayload::always ? "&signPayload=true" : "&signPayload=false";
  if (!credentials.empty()) out += "&credentials=" + credentials;
  if (!access_key.empty()) out += "&accessKey=***&secretKey=***";
  if (!session_token.empty()) out += "&sessionToken=***";
  return out;
}

}  // namespace paceline::object
