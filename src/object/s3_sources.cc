#include "object/s3_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "env/disk.h"
#include "net/http_client.h"
#include "object/s3_answers.h"
#include "object/s3_profile.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kFileBytesMax = 1u << 20;
constexpr auto kAskFor = 10s;
constexpr std::string_view kMetadataHost = "http://169.254.169.254";

// What every source may need; kept alive by it.
struct Setting {
  S3Location location;
  Environment environment;

  std::string variable(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  }
};
using SettingPtr = std::shared_ptr<const Setting>;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

Task<Result<std::string>> read_text(env::Shard& shard, std::string path) {
  auto read = [&disk = shard.disk(), path] { return env::read_file(disk, path, kFileBytesMax); };
  auto text = co_await env::offload(shard, std::move(read));
  if (!text)
    co_return fail(text.error().code,
                   fmt::format("cannot read {}: {}", path, text.error().message));
  co_return text;
}

// "file:PATH", "env:NAME" or the text itself.
Task<Result<std::string>> secret_of(env::Shard& shard, SettingPtr setting, std::string text) {
  if (text.starts_with("file:")) {
    CO_TRY(auto read, co_await read_text(shard, text.substr(5)));
    co_return trimmed(std::move(read));
  }
  if (!text.starts_with("env:")) co_return text;
  const std::string name = text.substr(4);
  std::string value = setting->variable(name);
  if (value.empty()) co_return refuse(fmt::format("the variable {} is not set", name));
  co_return value;
}

struct Question {
  std::string url;
  net::HttpQuery query;
  env::Duration time = kAskFor;
};

// One answer of a service that gives credentials. Its text is never part of an error.
Task<Result<net::HttpAnswer>> ask(env::Shard& shard, SettingPtr setting, Question question) {
  CO_TRY(const Endpoint endpoint, parse_endpoint(question.url));
  net::HttpPoolOptions options;
  options.host = endpoint.host;
  options.port = endpoint.port;
  if (endpoint.tls) {
    CO_TRY(options.tls, co_await load_tls(shard, "", setting->environment));
  }
  net::HttpQuery query = std::move(question.query);
  if (query.target.empty()) query.target = endpoint.path.empty() ? "/" : endpoint.path;
  query.answer_bytes_max = kFileBytesMax;
  const std::string host = net::http_host(endpoint.host, endpoint.port, endpoint.tls);
  net::HttpPool pool(shard, std::move(options));
  auto outcome = co_await pool.ask(std::move(query), shard.now() + question.time);
  if (!outcome.answer) co_return fail(std::move(outcome.answer).error());
  const int status = outcome.answer->status;
  if (status < 200 || status > 299) {
    const S3Error error = parse_s3_error(outcome.answer->text());
    co_return fail(
        status >= 500 || status == 429 ? Code::unavailable : Code::permission_denied,
        fmt::format("{} answered {}{}{}", host, status, error.code.empty() ? "" : " ", error.code));
  }
  co_return std::move(*outcome.answer);
}

Result<Credentials> from_sts(const net::HttpAnswer& answer, std::string source) {
  TRY(StsCredentials found, parse_sts_credentials(answer.text()));
  Credentials credentials;
  credentials.keys = {std::move(found.access_key), std::move(found.secret_key),
                      std::move(found.session_token)};
  credentials.source = std::move(source);
  credentials.expires_ms = found.expires_ms;
  return credentials;
}

std::string sts_url(const Setting& setting) {
  const std::string given = setting.variable("AWS_ENDPOINT_URL_STS");
  return given.empty() ? fmt::format("https://sts.{}.amazonaws.com", setting.location.region)
                       : given;
}

std::string form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields)
    out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, url_encode(value, false));
  return out;
}

Question sts_question(const Setting& setting, const std::string& body) {
  Question question;
  question.url = sts_url(setting);
  question.query.method = "POST";
  question.query.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  question.query.body = {Slice::copy_of(as_bytes(body))};
  question.query.repeatable = true;
  return question;
}

std::string session_name(const std::string& wanted) {
  return wanted.empty() ? "paceline" : wanted;
}

Task<Result<Credentials>> from_explicit_keys(env::Shard& shard, SettingPtr setting) {
  Credentials credentials;
  credentials.source = "the s3:// URL";
  const S3Location& location = setting->location;
  CO_TRY(credentials.keys.access_key, co_await secret_of(shard, setting, location.access_key));
  CO_TRY(credentials.keys.secret_key, co_await secret_of(shard, setting, location.secret_key));
  CO_TRY(credentials.keys.session_token,
         co_await secret_of(shard, setting, location.session_token));
  // A file may have been written anew.
  credentials.renewable = location.secret_key.starts_with("file:");
  co_return credentials;
}

Result<Credentials> from_environment(const Setting& setting) {
  Credentials credentials;
  credentials.source = "the environment";
  credentials.renewable = false;
  credentials.keys = {setting.variable("AWS_ACCESS_KEY_ID"),
                      setting.variable("AWS_SECRET_ACCESS_KEY"),
                      setting.variable("AWS_SESSION_TOKEN")};
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})
    if (setting.variable(name).empty())
      return refuse(fmt::format("credentials of the environment: {} is not set", name));
  return credentials;
}

struct WebIdentity {
  std::string token_file;
  std::string role;
  std::string session;
};

Task<Result<Credentials>> from_web_identity(env::Shard& shard, SettingPtr setting,
                                            WebIdentity identity) {
  if (identity.token_file.empty() || identity.role.empty())
    co_return refuse(
        "web identity needs AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, and one is not set");
  CO_TRY(const std::string token, co_await read_text(shard, identity.token_file));
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"Action", "AssumeRoleWithWebIdentity"},
      {"Version", "2011-06-15"},
      {"RoleArn", identity.role},
      {"RoleSessionName", session_name(identity.session)},
      {"WebIdentityToken", trimmed(token)}};
  auto answer = co_await ask(shard, setting, sts_question(*setting, form(fields)));
  if (!answer)
    co_return fail(answer.error().code, fmt::format("web identity for {} failed: {}", identity.role,
                                                    answer.error().message));
  co_return from_sts(*answer, fmt::format("web identity as {}", identity.role));
}

WebIdentity web_identity_of(const Setting& setting) {
  return {setting.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), setting.variable("AWS_ROLE_ARN"),
          setting.variable("AWS_ROLE_SESSION_NAME")};
}

// Whoever can answer such an address can have our token: plain HTTP only to where a container's
// credentials are known to come from.
bool may_be_plain(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" ||
         host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23";
}

Task<Result<Credentials>> from_container(env::Shard& shard, SettingPtr setting) {
  std::string url = setting->variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string path = setting->variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
      url.empty() && !path.empty())
    url = "http://169.254.170.2" + path;
  auto endpoint = parse_endpoint(url);
  if (!endpoint)
    co_return refuse("AWS_CONTAINER_CREDENTIALS_FULL_URI is no http:// or https:// address");
  if (!endpoint->tls && !may_be_plain(endpoint->host))
    co_return refuse("AWS_CONTAINER_CREDENTIALS_FULL_URI is not https:// and not of this machine");
  Question question;
  question.url = url;
  question.query.method = "GET";
  question.query.repeatable = true;
  std::string token = setting->variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = setting->variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !file.empty()) {
    CO_TRY(token, co_await read_text(shard, file));
  }
  if (!token.empty()) question.query.headers["authorization"] = trimmed(std::move(token));
  auto answer = co_await ask(shard, setting, std::move(question));
  if (!answer)
    co_return fail(answer.error().code,
                   fmt::format("the container's credentials: {}", answer.error().message));
  co_return parse_metadata_credentials(answer->text(), "the container's credentials");
}

Task<Result<Credentials>> from_instance(env::Shard& shard, SettingPtr setting) {
  std::string base = setting->variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = kMetadataHost;
  while (base.ends_with('/')) base.pop_back();
  Result<net::HttpAnswer> answer = fail(Code::unavailable, "not asked");
  std::string token;
  std::string role;
  for (const char* step : {"token", "role", "credentials"}) {
    Question question;
    question.url = base;
    question.time = 2s;
    question.query.repeatable = true;
    question.query.method = "GET";
    if (step == std::string_view("token")) {
      question.query.method = "PUT";
      question.query.target = "/latest/api/token";
      question.query.headers["x-aws-ec2-metadata-token-ttl-seconds"] = "300";
    } else {
      question.query.target = "/latest/meta-data/iam/security-credentials/" + role;
      question.query.headers["x-aws-ec2-metadata-token"] = token;
    }
    answer = co_await ask(shard, setting, std::move(question));
    if (!answer)
      co_return fail(answer.error().code, fmt::format("instance metadata gives no {}: {}", step,
                                                      answer.error().message));
    if (step == std::string_view("token")) token = trimmed(std::string(answer->text()));
    if (step == std::string_view("role"))
      role = url_encode(trimmed(std::string(answer->text())), false);
  }
  co_return parse_metadata_credentials(answer->text(),
                                       fmt::format("instance metadata as {}", role));
}

// Both files together; what stands in the credentials file wins, as in other tools.
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

std::string value_of(const Profile& profile, const std::string& key) {
  const auto found = profile.find(key);
  return found == profile.end() ? std::string() : found->second;
}

Task<Result<Credentials>> from_profile(env::Shard& shard, SettingPtr setting, std::string name,
                                       int depth);

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
