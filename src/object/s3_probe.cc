#include "object/s3_probe.h"

#include <fmt/format.h>

#include "object/s3_requests.h"

namespace paceline::object {
namespace {

constexpr std::string_view kFirst = "paceline probes this store: the first body";
constexpr std::string_view kSecond = "paceline probes this store: another one";

std::string endpoint_of(const S3Location& location) {
  return fmt::format("{}://{}:{}", location.tls ? "https" : "http", location.host, location.port);
}

// What a human does about it is in the sentence.
std::unexpected<Error> explain(S3Client& client, const S3Reply& reply, std::string_view what) {
  const S3Location& location = client.shared().location;
  const Credentials& used = *client.shared().credentials->current();
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
      return fail(Code::unavailable, fmt::format("cannot {} in bucket '{}' at {}: {}", what,
                                                 location.bucket, endpoint_of(location), why));
  }
}

std::unexpected<Error> unfit(const S3Location& location, std::string_view what) {
  return fail(Code::unsupported, fmt::format("the store at {} {}; nothing can be kept there safely",
                                             endpoint_of(location), what));
}

std::vector<Slice> body_of(std::string_view text) {
  return {Slice::copy_of(as_bytes(text))};
}

// The first must create, the second must be refused.
Task<Result<void>> prove_condition(S3ClientPtr client, std::string key) {
  const auto first = s3_put_call(*client, key, body_of(kFirst));
  first->patient = false;
  const S3Reply created = co_await client->run(first);
  const bool ours = created.judged.verdict == S3Verdict::fine ||
                    (created.judged.verdict == S3Verdict::exists && created.judged.maybe);
  if (!ours) co_return explain(*client, created, "put an object");
  const auto second = s3_put_call(*client, key, body_of(kSecond));
  second->patient = false;
  const S3Reply refused = co_await client->run(second);
  if (refused.judged.verdict == S3Verdict::fine)
    co_return unfit(client->shared().location,
                    "ignores If-None-Match, so that an object can be overwritten");
  if (refused.judged.verdict == S3Verdict::refused)
    co_return unfit(client->shared().location,
                    fmt::format("does not know If-None-Match: {}", refused.judged.why));
  if (refused.judged.verdict != S3Verdict::exists)
    co_return explain(*client, refused, "put an object");
  co_return Result<void>{};
}

Task<Result<void>> prove_ranges(S3ClientPtr client, std::string key) {
  // In the middle, and at the end: some stores give one byte less or more there.
  const uint64_t size = kFirst.size();
  for (const auto& [from, bytes] : {std::pair<uint64_t, uint64_t>{5, 7}, {size - 3, 3}}) {
    const auto call = s3_get_call(*client, key, from, bytes);
    call->patient = false;
    const S3Reply reply = co_await client->run(call);
    if (reply.judged.verdict != S3Verdict::fine)
      co_return explain(*client, reply, "read an object");
    if (reply.answer.status != 206 || reply.answer.text() != kFirst.substr(from, bytes))
      co_return unfit(client->shared().location, "does not read the range of an object");
  }
  co_return Result<void>{};
}

Task<Result<void>> remove_probe(S3ClientPtr client, std::string key) {
  const auto call = s3_call(*client, S3Kind::remove, key);
  call->patient = false;
  const S3Reply reply = co_await client->run(call);
  if (reply.judged.verdict != S3Verdict::fine)
    co_return explain(*client, reply, "delete an object");
  co_return Result<void>{};
}

}  // namespace

Task<Result<S3Principal>> s3_probe(std::shared_ptr<S3Client> client) {
  S3Shared& shared = client->shared();
  const std::string key =
      fmt::format("probe/{:016x}{:016x}", client->shard().random(), client->shard().random());
  auto proved = co_await prove_condition(client, key);
  if (proved) proved = co_await prove_ranges(client, key);
  auto removed = co_await remove_probe(client, key);
  if (!proved) co_return fail(std::move(proved).error());
  if (!removed) co_return fail(std::move(removed).error());
  shared.may_correct_clock = true;
  const CredentialsPtr used = shared.credentials->current();
  co_return S3Principal{used->keys.access_key, used->source, shared.location.bucket,
                        shared.location.prefix, endpoint_of(shared.location)};
}

}  // namespace paceline::object
