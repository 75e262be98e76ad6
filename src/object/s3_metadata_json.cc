#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "object/s3_answers.h"
#include "object/s3_sources.h"

namespace paceline::object {

Result<Credentials> parse_metadata_credentials(std::string_view json, std::string source) {
  const auto root = nlohmann::json::parse(json, nullptr, false);
  auto text = [&root](const char* name) {
    const auto found = root.find(name);
    return found != root.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!root.is_object())
    return fail(Code::corrupt, fmt::format("{} did not answer with credentials", source));
  Credentials credentials;
  credentials.keys = {text("AccessKeyId"), text("SecretAccessKey"), text("Token")};
  if (credentials.keys.access_key.empty() || credentials.keys.secret_key.empty())
    return fail(Code::corrupt, fmt::format("{} did not answer with credentials", source));
  if (const std::string expires = text("Expiration"); !expires.empty()) {
    TRY(credentials.expires_ms, parse_iso_time(expires));
  }
  credentials.source = std::move(source);
  return credentials;
}

}  // namespace paceline::object
