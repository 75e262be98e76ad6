#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "object/s3.h"
#include "object/s3_admission.h"
#include "object/s3_credentials.h"
#include "object/s3_location.h"
#include "object/s3_pace.h"
#include "object/s3_sign.h"
#include "object/s3_stats.h"
#include "object/s3_verdict.h"

namespace paceline::object {

// What the shards of one store have in common.
struct S3Shared {
  S3Location location;
  S3Timing timing;
  std::shared_ptr<const net::TlsContext> tls;
  std::shared_ptr<CredentialsHolder> credentials;
  S3Stats stats;
  RetryBudget budget;
  // The store's clock less ours, once ours has proved wrong. At start it is an error instead.
  std::atomic<int64_t> clock_offset_ms = 0;
  std::atomic<bool> may_correct_clock = false;
  std::atomic<bool> parts_keep_condition = false;  // as the probe has seen
  std::atomic<int64_t> alerted_ms = 0;             // when a refusal was last logged

  std::string full_key(const std::string& key) const {
    return location.prefix.empty() ? key : location.prefix + "/" + key;
  }
};

// One request, whatever number of attempts it takes.
struct S3Call {
  S3Kind kind = S3Kind::get;
  std::string method;
  std::string key;  // the full one; empty: the bucket
  std::vector<std::pair<std::string, std::string>> query;
  std::map<std::string, std::string> headers;
  std::vector<Slice> body;
  uint64_t answer_bytes_max = 1u << 20;
  bool patient = true;                         // false: what a human must mend is told at once
  env::Instant until = env::Instant::never();  // it ends by then, or earlier as any call does
};
using S3CallPtr = std::shared_ptr<S3Call>;

struct S3Reply {
  S3Judged judged;  // `maybe`: any of the attempts may have been done
  net::HttpAnswer answer;
};

// The requests of one shard.
class S3Client : public std::enable_shared_from_this<S3Client> {
 public:
  S3Client(env::Shard& shard, std::shared_ptr<S3Shared> shared);

  // Attempts until the answer is definite, the retry budget is spent or the time is up.
  Task<S3Reply> run(S3CallPtr call) { return run_of(shared_from_this(), std::move(call)); }

  env::Shard& shard() { return shard_; }
  S3Shared& shared() { return *shared_; }

 private:
  using Self = std::shared_ptr<S3Client>;
  struct Race;

  static Task<S3Reply> run_of(Self self, S3CallPtr call);
  static Task<S3Reply> round(Self self, S3CallPtr call, std::string payload, env::Instant deadline);
  static Task<S3Reply> attempt(Self self, S3CallPtr call, std::string payload,
                               env::Instant deadline, bool hedged,
                               std::shared_ptr<net::HttpCancel> cancel);
  static Task<void> racer(Self self, S3CallPtr call, std::string payload, env::Instant deadline,
                          std::shared_ptr<Race> race, size_t index);
  static Task<std::string> payload_of(Self self, S3CallPtr call);

  net::HttpQuery make_query(const S3Call& call, const std::string& payload,
                            const Credentials& credentials);
  void note(const S3Call& call, const S3Reply& reply, env::Instant asked_at, bool hedged);
  void note_refusal(const S3Call& call, const S3Reply& reply, const CredentialsPtr& used);
  void alert(const std::string& text);
  env::Duration for_bytes(const S3Call& call) const;
  // After how long a second attempt is made; zero: none is.
  env::Duration hedge_after(const S3Call& call) const;
  bool take_hedge();
  LatencyWindow& latency_of(const S3Call& call);

  env::Shard& shard_;
  const std::shared_ptr<S3Shared> shared_;
  net::HttpPool pool_;
  Signer signer_;
  Admission admission_;
  // By kind (put, get) and size, since a request of 8 MiB is not slow because it takes longer.
  std::array<std::array<LatencyWindow, 4>, 2> latencies_;
  double hedge_tokens_ = 10;
  env::Instant throttled_at_{env::Duration::min() / 2};
};

}  // namespace paceline::object
