#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/tls.h"
#include "object/s3_credentials.h"

namespace paceline::object {

// Finds the one source of credentials that is configured. In order: keys in the URL, the source
// that the URL names, the environment, web identity, the container's address, the shared files,
// instance metadata. Which one it is depends on what is set, never on whether it works; so nothing
// broader is tried when it fails.
Task<Result<CredentialsSource>> find_credentials(env::Shard& shard, S3Location location,
                                                 Environment environment);

// What instance and container metadata answer with. Pure. The error never repeats the text.
Result<Credentials> parse_metadata_credentials(std::string_view json, std::string source);

// TLS that trusts `ca_file`, else AWS_CA_BUNDLE and SSL_CERT_FILE, else the system's authorities.
Task<Result<std::shared_ptr<const net::TlsContext>>> load_tls(env::Shard& shard,
                                                              std::string ca_file,
                                                              Environment environment);

}  // namespace paceline::object
