#pragma once

#include <memory>
#include <string>

#include "object/object.h"
#include "object/s3_location.h"
#include "object/s3_stats.h"

// Objects in a bucket of any S3-compatible store.

namespace paceline::object {

struct S3Timing {
  env::Duration attempt = std::chrono::seconds(5);      // and what the bytes take at 1 MiB a second
  env::Duration total = std::chrono::seconds(30);       // likewise: all attempts and pauses
  env::Duration probe = std::chrono::seconds(15);       // all of probe()
  env::Duration pause = std::chrono::milliseconds(50);  // before the first retry; it doubles
  env::Duration pause_max = std::chrono::seconds(2);
  env::Duration hedge_min = std::chrono::milliseconds(10);
  bool hedge = true;
  double in_flight_start = 64;  // requests of each shard
  double in_flight_max = 256;
};

struct S3Options {
  S3Location location;      // of parse_s3_url()
  Environment environment;  // where credentials may be named
  S3Timing timing;
  uint64_t part_bytes = 16u << 20;  // at least 5 MiB
  // From here on a body goes in parts, if the probe allows them. An upload gets that large only
  // while one connection does not keep up with what is produced; the usual one is one request.
  uint64_t multipart_bytes_min = 128u << 20;
};

// Who we are to the store, for a banner. No secret is in it.
struct S3Principal {
  std::string access_key;
  std::string source;  // of the credentials
  std::string bucket;
  std::string prefix;
  std::string endpoint;
};

class S3Store : public Store {
 public:
  // Proves with puts, ranged reads and a delete of a key of its own that the store can be relied
  // on. An error is one sentence for a human: no such bucket (not_found), access denied or
  // unknown keys (permission_denied), a condition or a range that the store ignores (unsupported),
  // a clock that is off, a certificate that is not trusted, no connection, no answer in 15 s
  // (unavailable). Once it has succeeded a clock that jumps is corrected by the store's, and large
  // bodies go in parts if an object stayed what it was when parts were put together under its key.
  virtual Task<Result<S3Principal>> probe(env::Shard& shard) = 0;
  virtual const S3Stats& stats() const = 0;
};

// Finds the credentials and keeps them fresh, on `home`, for as long as the store lives. Shards
// must outlive the store; calls under way outlive it. An error is one sentence and names its
// source.
Task<Result<std::unique_ptr<S3Store>>> open_s3_store(env::Shard& home, S3Options options);

}  // namespace paceline::object
