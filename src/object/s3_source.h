#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/http_client.h"
#include "object/s3_credentials.h"
#include "object/s3_profile.h"
#include "object/s3_sources.h"

// One function a source of credentials, and what they have in common. Each asks its own place and
// no other; an error names it and holds nothing of a secret.

namespace paceline::object {

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

Task<Result<Credentials>> from_explicit_keys(env::Shard& shard, SettingPtr setting);
Result<Credentials> from_environment(const Setting& setting);
struct WebIdentity {
  std::string token_file;
  std::string role;
  std::string session;
};

Task<Result<Credentials>> from_web_identity(env::Shard& shard, SettingPtr setting,
                                            WebIdentity identity);
Task<Result<Credentials>> from_container(env::Shard& shard, SettingPtr setting);
Task<Result<Credentials>> from_instance(env::Shard& shard, SettingPtr setting);

// Both files together; what stands in the credentials file wins, as in other tools.
Task<Result<std::map<std::string, Profile>>> read_profiles(env::Shard& shard, SettingPtr setting);
bool has_credentials(const Profile& profile);
Task<Result<Credentials>> from_profile(env::Shard& shard, SettingPtr setting, std::string name,
                                       int depth);

Task<Result<std::string>> read_text(env::Shard& shard, std::string path);

struct Question {
  std::string url;
  net::HttpQuery query;
  env::Duration time = std::chrono::seconds(10);
};

// One answer of a service that gives credentials. Its text is never part of an error.
Task<Result<net::HttpAnswer>> ask(env::Shard& shard, SettingPtr setting, Question question);
// The security token service: a question with this form, and what it answered.
Question sts_question(const Setting& setting, const std::string& body);
std::string form(const std::vector<std::pair<std::string, std::string>>& fields);
Result<Credentials> from_sts(const net::HttpAnswer& answer, std::string source);
std::string session_name(const std::string& wanted);

}  // namespace paceline::object
