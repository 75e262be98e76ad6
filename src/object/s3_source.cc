#include "object/s3_source.h"

#include <fmt/format.h>

#include "env/disk.h"
#include "object/s3_answers.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kFileBytesMax = 1u << 20;
constexpr std::string_view kMetadataHost = "http://169.254.169.254";

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
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

std::string sts_url(const Setting& setting) {
  const std::string given = setting.variable("AWS_ENDPOINT_URL_STS");
  return given.empty() ? fmt::format("https://sts.{}.amazonaws.com", setting.location.region)
                       : given;
}

// Whoever can answer such an address can have our token: plain HTTP only to where a container's
// credentials are known to come from.
bool may_be_plain(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" ||
         host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23";
}

}  // namespace

Task<Result<std::string>> read_text(env::Shard& shard, std::string path) {
  auto read = [&disk = shard.disk(), path] { return env::read_file(disk, path, kFileBytesMax); };
  auto text = co_await env::offload(shard, std::move(read));
  if (!text)
    co_return fail(text.error().code,
                   fmt::format("cannot read {}: {}", path, text.error().message));
  co_return text;
}

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

}  // namespace paceline::object
