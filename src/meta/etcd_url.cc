#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <set>

#include "meta/etcd.h"

namespace paceline::meta {
namespace {

constexpr std::string_view kScheme = "etcd://";
constexpr std::string_view kDefaultPort = ":2379";
// check_limits() leaves room for it in each of a transaction's operations.
constexpr size_t kPrefixBytesMax = 128;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, "paceline.metadata: " + std::move(why));
}

std::optional<std::string> decode_percent(std::string_view text) {
  std::string decoded;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    const std::string_view digits = text.substr(at + 1, 2);
    unsigned value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2 || value == 0)
      return std::nullopt;
    decoded += static_cast<char>(value);
    at += 2;
  }
  return decoded;
}

// Splits off what stands before `separator`, and the separator.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t at = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() < 4) return false;
    host = host.substr(1, host.size() - 2);
    return host.find_first_not_of("0123456789abcdefABCDEF:.%") == std::string_view::npos;
  }
  for (const char c : host)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
          c == '-' || c == '_'))
      return false;
  return !host.empty();
}

Result<std::string> parse_endpoint(std::string_view text) {
  const size_t bracket = text.find(']');
  const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? kDefaultPort : text.substr(colon);
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  if (!is_host(host) || error != std::errc() || end != port.data() + port.size() || number == 0)
    return refuse(fmt::format("'{}' is not of the form host:port", text));
  return std::string(host) + std::string(port);
}

Result<void> parse_endpoints(std::string_view list, EtcdOptions& options) {
  // What stands before an @ may be a secret: it is not repeated.
  if (list.find('@') != std::string_view::npos)
    return refuse("a user is given as ?user=, and a password never in a URL");
  std::set<std::string> seen;
  do {
    TRY(std::string endpoint, parse_endpoint(take_until(list, ',')));
    if (!seen.insert(endpoint).second) return refuse(fmt::format("'{}' stands twice", endpoint));
    options.endpoints.push_back(std::move(endpoint));
  } while (!list.empty());
  return {};
}

Result<void> parse_prefix(std::string_view path, EtcdOptions& options) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  const auto decoded = decode_percent(path);
  if (!decoded) return refuse(fmt::format("'{}' has a bad %-sequence", path));
  options.prefix = "/" + (decoded->empty() ? "paceline" : *decoded) + "/";
  if (options.prefix.size() > kPrefixBytesMax)
    return refuse(fmt::format("the prefix has more than {} bytes", kPrefixBytesMax));
  return {};
}

Result<void> parse_query(std::string_view query, EtcdOptions& options) {
  const std::pair<std::string_view, std::string*> keys[] = {
      {"user", &options.user},        {"passwordFile", &options.password_file},
      {"caFile", &options.ca_file},   {"certFile", &options.certificate_file},
      {"keyFile", &options.key_file},
  };
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string_view name = take_until(value, '=');
    if (name == "password")
      return refuse(fmt::format("a password never stands in a URL; use passwordFile or {}",
                                kEtcdPasswordVariable));
    const auto* key =
        std::ranges::find(keys, name, &std::pair<std::string_view, std::string*>::first);
    if (key == std::end(keys))
      return refuse(fmt::format(
          "unknown key '{}'; there are user, passwordFile, caFile, certFile and keyFile", name));
    if (!key->second->empty()) return refuse(fmt::format("'{}' stands twice", name));
    const auto decoded = decode_percent(value);
    if (!decoded) return refuse(fmt::format("'{}' has a bad %-sequence", name));
    *key->second = *decoded;
  }
  if (options.user.empty() && !options.password_file.empty())
    return refuse("passwordFile needs a user");
  if (options.certificate_file.empty() != options.key_file.empty())
    return refuse("certFile and keyFile belong together");
  if (options.ca_file.empty() && !options.certificate_file.empty())
    return refuse("certFile needs a caFile, which turns TLS on");
  return {};
}

}  // namespace

Result<EtcdOptions> parse_etcd_url(std::string_view url) {
  if (!url.starts_with(kScheme)) return refuse("an etcd URL starts with etcd://");
  url.remove_prefix(kScheme.size());
  EtcdOptions options;
  std::string_view rest = take_until(url, '?');  // url is the query now
  TRY_VOID(parse_endpoints(take_until(rest, '/'), options));
  TRY_VOID(parse_prefix(rest, options));
  TRY_VOID(parse_query(url, options));
  return options;
}

}  // namespace paceline::meta
