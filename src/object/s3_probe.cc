#include "object/s3_probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "object/s3_requests.h"

namespace paceline::object {
namespace {

constexpr std::string_view kFirst = "paceline probes this store: the first body";
constexpr std::string_view kSecond = "paceline probes this store: another one";
// Of the time for all of it, kept to delete what was put.
constexpr int kLeaveShare = 5;

// One probe: what it asks ends in time.
struct Probe {
  S3ClientPtr client;
  std::string key;
  env::Instant began;
  env::Instant until;

  Task<S3Reply> run(S3CallPtr call) const {
    call->patient = false;
    call->until = until;
    return client->run(std::move(call));
  }
};

std::string endpoint_of(const S3Location& location) {
  return fmt::format("{}://{}:{}", location.tls ? "https" : "http", location.host, location.port);
}

// What a human does about it is in the sentence. `what` names the step.
std::unexpected<Error> explain(const Probe& probe, const S3Reply& reply, std::string_view what) {
  const S3Shared& shared = probe.client->shared();
  const S3Location& location = shared.location;
  const Credentials& used = *shared.credentials->current();
  std::string why = reply.judged.why;
  const std::string_view region = reply.answer.header("x-amz-bucket-region");
  if (!region.empty() && region != location.region)
    why += fmt::format("; the bucket is in region '{}', not '{}'", region.substr(0, 40),
                       location.region);
  switch (reply.judged.verdict) {
    case S3Verdict::no_bucket:
      return fail(Code::not_found, fmt::format("there is no bucket '{}' at {}; create it first",
                                               location.bucket, endpoint_of(location)));
    case S3Verdict::denied:
      return fail(Code::permission_denied,
                  fmt::format("bucket '{}': {} is not allowed to {} (key {} from {})",
                              location.bucket, why, what, used.keys.access_key, used.source));
    case S3Verdict::credentials:
      return fail(Code::permission_denied,
                  fmt::format("bucket '{}': the store does not accept key {} from {}: {}",
                              location.bucket, used.keys.access_key, used.source, why));
    case S3Verdict::clock:
      return fail(Code::unavailable,
                  fmt::format("the clock of this machine is off, says the store of bucket '{}': {}",
                              location.bucket, why));
    default:
      break;
  }
  std::string limit;
  if (is_retried(reply.judged.verdict)) {
    const env::Duration took = probe.client->shard().now() - probe.began;
    limit = fmt::format(" within {} s", std::max<int64_t>(1, took / std::chrono::seconds(1)));
  }
  return fail(Code::unavailable, fmt::format("cannot {} in bucket '{}' at {}{}: {}", what,
                                             location.bucket, endpoint_of(location), limit, why));
}

std::unexpected<Error> unfit(const S3Location& location, std::string_view what) {
  return fail(Code::unsupported, fmt::format("the store at {} {}; nothing can be kept there safely",
                                             endpoint_of(location), what));
}

std::vector<Slice> body_of(std::string_view text) {
  return {Slice::copy_of(as_bytes(text))};
}

// The first must create, the second must be refused.
Task<Result<void>> prove_condition(Probe probe) {
  S3Client& client = *probe.client;
  const S3Reply created = co_await probe.run(s3_put_call(client, probe.key, body_of(kFirst)));
  const bool ours = created.judged.verdict == S3Verdict::fine ||
                    (created.judged.verdict == S3Verdict::exists && created.judged.maybe);
  if (!ours) co_return explain(probe, created, "put an object");
  const S3Reply refused = co_await probe.run(s3_put_call(client, probe.key, body_of(kSecond)));
  if (refused.judged.verdict == S3Verdict::fine)
    co_return unfit(client.shared().location,
                    "ignores If-None-Match, so that an object can be overwritten");
  if (refused.judged.verdict == S3Verdict::refused)
    co_return unfit(client.shared().location,
                    fmt::format("does not know If-None-Match: {}", refused.judged.why));
  if (refused.judged.verdict != S3Verdict::exists)
    co_return explain(probe, refused, "put an object for the second time");
  co_return Result<void>{};
}

Task<Result<void>> prove_ranges(Probe probe) {
  S3Client& client = *probe.client;
  // In the middle, and at the end: some stores give one byte less or more there.
  const uint64_t size = kFirst.size();
  for (const auto& [from, bytes] : {std::pair<uint64_t, uint64_t>{5, 7}, {size - 3, 3}}) {
    const S3Reply reply = co_await probe.run(s3_get_call(client, probe.key, from, bytes));
    if (reply.judged.verdict != S3Verdict::fine) co_return explain(probe, reply, "read an object");
    if (reply.answer.status != 206 || reply.answer.text() != kFirst.substr(from, bytes))
      co_return unfit(client.shared().location, "does not read the range of an object");
  }
  co_return Result<void>{};
}

// Whether the object stays what it is when parts are put together under its key. Some stores (Ceph)
// replace it; whoever does not clearly refuse is given no parts, which is no reason not to start.
Task<bool> see_parts(Probe probe) {
  auto put =
      co_await s3_put_parts(probe.client, probe.key, body_of(kSecond), kSecond.size(), probe.until);
  co_return !put && put.error().code == Code::already_exists;
}

Task<Result<void>> remove_probe(Probe probe) {
  const S3Reply reply = co_await probe.run(s3_call(*probe.client, S3Kind::remove, probe.key));
  if (reply.judged.verdict != S3Verdict::fine) co_return explain(probe, reply, "delete an object");
  co_return Result<void>{};
}

}  // namespace

Task<Result<S3Principal>> s3_probe(S3ClientPtr client) {
  S3Shared& shared = client->shared();
  const env::Duration limit = shared.timing.probe;
  Probe probe{.client = client, .key = {}, .began = client->shard().now(), .until = {}};
  probe.key =
      fmt::format("probe/{:016x}{:016x}", client->shard().random(), client->shard().random());
  probe.until = probe.began + limit - limit / kLeaveShare;
  auto proved = co_await prove_condition(probe);
  if (proved) proved = co_await prove_ranges(probe);
  const bool parts = proved && co_await see_parts(probe);
  probe.until = probe.began + limit;
  auto removed = co_await remove_probe(probe);
  if (!proved) co_return fail(std::move(proved).error());
  if (!removed) co_return fail(std::move(removed).error());
  shared.may_correct_clock = true;
  shared.parts_keep_condition = parts;
  const CredentialsPtr used = shared.credentials->current();
  co_return S3Principal{used->keys.access_key, used->source, shared.location.bucket,
                        shared.location.prefix, endpoint_of(shared.location)};
}

}  // namespace paceline::object
