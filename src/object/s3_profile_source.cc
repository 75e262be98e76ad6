#include <fmt/format.h>

#include "object/s3_source.h"

// The shared AWS files: keys, and roles that are taken with the keys of another profile.

namespace paceline::object {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

std::string value_of(const Profile& profile, const std::string& key) {
  const auto found = profile.find(key);
  return found == profile.end() ? std::string() : found->second;
}

Task<Result<Credentials>> base_of_role(env::Shard& shard, SettingPtr setting, Profile profile,
                                       int depth) {
  const std::string from = value_of(profile, "source_profile");
  const std::string named = value_of(profile, "credential_source");
  if (!from.empty()) {
    CO_TRY(auto base, co_await from_profile(shard, setting, from, depth + 1));
    co_return base;
  }
  if (named == "Environment") co_return from_environment(*setting);
  if (named == "EcsContainer") {
    CO_TRY(auto base, co_await from_container(shard, setting));
    co_return base;
  }
  if (named == "Ec2InstanceMetadata") {
    CO_TRY(auto base, co_await from_instance(shard, setting));
    co_return base;
  }
  co_return refuse("role_arn needs source_profile or credential_source");
}

Task<Result<Credentials>> assume_role(env::Shard& shard, SettingPtr setting, Profile profile,
                                      std::string source, int depth) {
  CO_TRY(const Credentials base, co_await base_of_role(shard, setting, profile, depth));
  const std::string role = value_of(profile, "role_arn");
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Action", "AssumeRole"},
      {"Version", "2011-06-15"},
      {"RoleArn", role},
      {"RoleSessionName", session_name(value_of(profile, "role_session_name"))}};
  if (const std::string id = value_of(profile, "external_id"); !id.empty())
    fields.emplace_back("ExternalId", id);
  Question question = sts_question(*setting, form(fields));
  CO_TRY(const Endpoint endpoint, parse_endpoint(question.url));
  SignedRequest request;
  request.method = "POST";
  request.path = endpoint.path.empty() ? "/" : endpoint.path;
  request.headers = question.query.headers;
  request.headers["host"] = net::http_host(endpoint.host, endpoint.port, endpoint.tls);
  Signer signer(setting->location.region, "sts");
  question.query.target =
      signer.sign(request, base.keys, shard.wall_ms(), sha256_hex(question.query.body));
  question.query.headers = std::move(request.headers);
  auto answer = co_await ask(shard, setting, std::move(question));
  if (!answer)
    co_return fail(answer.error().code,
                   fmt::format("{} cannot become {}: {}", source, role, answer.error().message));
  co_return from_sts(*answer, fmt::format("{} as {}", source, role));
}

}  // namespace

Task<Result<std::map<std::string, Profile>>> read_profiles(env::Shard& shard, SettingPtr setting) {
  const std::string home = setting->variable("HOME");
  std::map<std::string, Profile> all;
  for (const bool config : {true, false}) {
    const std::string given =
        setting->variable(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
    if (given.empty() && home.empty()) continue;
    const std::string path =
        given.empty() ? home + (config ? "/.aws/config" : "/.aws/credentials") : given;
    auto text = co_await read_text(shard, path);
    if (!text && text.error().code == Code::not_found) continue;
    if (!text) co_return fail(std::move(text).error());
    auto profiles = parse_profiles(*text, config);
    if (!profiles) co_return refuse(fmt::format("{}: {}", path, profiles.error().message));
    for (auto& [name, profile] : *profiles)
      for (auto& [key, value] : profile) all[name][key] = value;
  }
  co_return all;
}

bool has_credentials(const Profile& profile) {
  for (const char* key : {"aws_access_key_id", "role_arn", "credential_process", "sso_session",
                          "sso_account_id", "web_identity_token_file"})
    if (profile.contains(key)) return true;
  return false;
}

Task<Result<Credentials>> from_profile(env::Shard& shard, SettingPtr setting, std::string name,
                                       int depth) {
  if (depth > 5) co_return refuse("profiles refer to each other in a circle");
  CO_TRY(auto profiles, co_await read_profiles(shard, setting));
  const auto found = profiles.find(name);
  if (found == profiles.end())
    co_return refuse(fmt::format("there is no profile '{}' in the AWS files", name));
  const Profile& profile = found->second;
  const std::string source = fmt::format("profile '{}'", name);
  const std::string token_file = value_of(profile, "web_identity_token_file");
  if (!token_file.empty()) {
    WebIdentity identity{token_file, value_of(profile, "role_arn"),
                         value_of(profile, "role_session_name")};
    CO_TRY(auto credentials, co_await from_web_identity(shard, setting, identity));
    co_return credentials;
  }
  // A role whose source is itself takes the keys that stand beside it.
  const bool own_keys = value_of(profile, "source_profile") == name && depth > 0;
  if (profile.contains("role_arn") && !own_keys) {
    CO_TRY(auto credentials, co_await assume_role(shard, setting, profile, source, depth));
    co_return credentials;
  }
  Credentials credentials;
  credentials.source = source;
  credentials.keys = {value_of(profile, "aws_access_key_id"),
                      value_of(profile, "aws_secret_access_key"),
                      value_of(profile, "aws_session_token")};
  if (!credentials.keys.access_key.empty() && !credentials.keys.secret_key.empty())
    co_return credentials;
  for (const char* key : {"credential_process", "sso_session", "sso_account_id"})
    if (profile.contains(key))
      co_return refuse(fmt::format("{} uses {}, which is not supported", source, key));
  co_return refuse(fmt::format("{} has no credentials", source));
}

}  // namespace paceline::object
