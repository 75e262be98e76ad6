#include "object/s3_sources.h"

#include <fmt/format.h>

#include "object/s3_source.h"

namespace paceline::object {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

WebIdentity web_identity_of(const Setting& setting) {
  return {setting.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), setting.variable("AWS_ROLE_ARN"),
          setting.variable("AWS_ROLE_SESSION_NAME")};
}

CredentialsSource environment_source(SettingPtr setting) {
  return [setting](env::Shard&) -> Task<Result<Credentials>> {
    auto task = [](SettingPtr kept) -> Task<Result<Credentials>> {
      co_return from_environment(*kept);
    };
    return task(setting);
  };
}
CredentialsSource web_identity_source(SettingPtr setting) {
  return [setting](env::Shard& shard) {
    return from_web_identity(shard, setting, web_identity_of(*setting));
  };
}
CredentialsSource container_source(SettingPtr setting) {
  return [setting](env::Shard& shard) { return from_container(shard, setting); };
}
CredentialsSource instance_source(SettingPtr setting) {
  return [setting](env::Shard& shard) { return from_instance(shard, setting); };
}
CredentialsSource profile_source(SettingPtr setting, std::string name) {
  return [setting, name = std::move(name)](env::Shard& shard) {
    return from_profile(shard, setting, name, 0);
  };
}

std::string profile_of(const Setting& setting) {
  const std::string name = setting.variable("AWS_PROFILE");
  return name.empty() ? "default" : name;
}

// The source that the URL names.
Result<CredentialsSource> named_source(SettingPtr setting) {
  const std::string& name = setting->location.credentials;
  if (name == "env") return environment_source(setting);
  if (name == "web-identity") return web_identity_source(setting);
  if (name == "container") return container_source(setting);
  if (name == "instance") return instance_source(setting);
  if (name == "profile") return profile_source(setting, profile_of(*setting));
  if (name.starts_with("profile:")) return profile_source(setting, name.substr(8));
  return refuse(
      "credentials= in an s3:// URL is env, web-identity, container, profile, profile:NAME or "
      "instance");
}

}  // namespace

Task<Result<CredentialsSource>> find_credentials(env::Shard& shard, S3Location location,
                                                 Environment environment) {
  auto setting = std::make_shared<const Setting>(std::move(location), std::move(environment));
  auto is_set = [&setting](const char* name) { return !setting->variable(name).empty(); };
  if (!setting->location.access_key.empty()) {
    co_return [setting](env::Shard& on) { return from_explicit_keys(on, setting); };
  }
  if (!setting->location.credentials.empty()) co_return named_source(setting);
  if (is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_SECRET_ACCESS_KEY"))
    co_return environment_source(setting);
  if (is_set("AWS_WEB_IDENTITY_TOKEN_FILE") || is_set("AWS_ROLE_ARN"))
    co_return web_identity_source(setting);
  if (is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") ||
      is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
    co_return container_source(setting);
  if (is_set("AWS_PROFILE")) co_return profile_source(setting, profile_of(*setting));
  CO_TRY(auto profiles, co_await read_profiles(shard, setting));
  if (const auto found = profiles.find("default");
      found != profiles.end() && has_credentials(found->second))
    co_return profile_source(setting, "default");
  if (setting->variable("AWS_EC2_METADATA_DISABLED") == "true")
    co_return refuse(
        "there are no credentials: neither in the s3:// URL, the environment nor the AWS files");
  co_return instance_source(setting);
}

Task<Result<std::shared_ptr<const net::TlsContext>>> load_tls(env::Shard& shard,
                                                              std::string ca_file,
                                                              Environment environment) {
  for (const char* name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const auto found = environment.find(name); ca_file.empty() && found != environment.end())
      ca_file = found->second;
  if (ca_file.empty()) ca_file = "/etc/ssl/certs/ca-certificates.crt";
  CO_TRY(auto pem, co_await read_text(shard, ca_file));
  net::TlsClientOptions options;
  options.ca_pem = std::move(pem);
  auto context = net::TlsContext::client(options);
  if (!context) co_return refuse(fmt::format("{}: {}", ca_file, context.error().message));
  co_return std::move(*context);
}

}  // namespace paceline::object
