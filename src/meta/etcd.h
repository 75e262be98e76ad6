#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/shard.h"
#include "meta/store.h"

// etcd as the metadata store.

namespace paceline::meta {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // host:port, each a member of the one cluster
  std::string prefix;                  // of all keys: "/paceline/"; others may use the rest
  std::string user;                    // empty: no authentication
  std::string password_file;
  std::string password;  // what the file or the environment holds; never in a URL or a log
  std::string ca_file, certificate_file, key_file;  // a CA file turns TLS on
  // A call that found no member to do it ends after so long, with `unavailable`. A commit that was
  // sent is `maybe_written` after two seconds without an answer.
  env::Duration call_timeout = std::chrono::seconds(5);
};

// etcd://host:2379,host2:2379/prefix?user=&passwordFile=&caFile=&certFile=&keyFile=. Pure.
// invalid_argument with one sentence that names what is wrong, and no secret.
Result<EtcdOptions> parse_etcd_url(std::string_view url);

// Where the password is looked for if there is a user and no file.
inline constexpr const char* kEtcdPasswordVariable = "PACELINE_ETCD_PASSWORD";

// Reads the files the options name. Nothing is asked of etcd yet: the first call tells whether it
// is there. For RealEnv only, whose shards must outlive the store. Destroying it waits until gRPC's
// threads have let go of it.
Result<std::unique_ptr<Store>> open_etcd_store(env::Shard& shard, EtcdOptions options);

}  // namespace paceline::meta
