#include "object/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/log.h"
#include "object/s3_answers.h"

namespace paceline::object {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kSlowBytesPerSecond = 1u << 20;
constexpr uint64_t kHashInPlaceMax = 256u << 10;  // some 0.15 ms of the shard's time
constexpr double kHedgeShare = 0.05;
constexpr double kHedgeTokensMax = 10;
constexpr auto kCalmFor = 1s;  // after a refusal for load nothing is asked twice

uint64_t body_bytes(const S3Call& call) {
  uint64_t bytes = 0;
  for (const Slice& piece : call.body) bytes += piece.size();
  return bytes;
}

// Only what is small beside the others is expected back from what sends much, and the reverse.
uint64_t moved_bytes(const S3Call& call) {
  return std::max(body_bytes(call), call.kind == S3Kind::get ? call.answer_bytes_max : 0);
}

// Whether one of two attempts decides. A put that did not succeed may have failed because the other
// one did: that is waited for.
bool settles(const S3Call& call, S3Verdict verdict) {
  return verdict == S3Verdict::fine || (call.kind == S3Kind::get && !is_retried(verdict));
}

net::HttpPoolOptions pool_options(const S3Shared& shared) {
  const S3Location& location = shared.location;
  net::HttpPoolOptions options;
  options.host = location.path_style ? location.host : location.bucket + "." + location.host;
  options.port = location.port;
  options.tls = shared.tls;
  return options;
}

}  // namespace

// Two attempts at one request.
struct S3Client::Race {
  explicit Race(env::Shard& shard) : changed(shard) {}
  env::Event changed;
  std::array<std::optional<S3Reply>, 2> replies;
  std::array<std::shared_ptr<net::HttpCancel>, 2> cancels;
};

S3Client::S3Client(env::Shard& shard, std::shared_ptr<S3Shared> shared)
    : shard_(shard),
      shared_(std::move(shared)),
      pool_(shard, pool_options(*shared_)),
      signer_(shared_->location.region, "s3"),
      admission_(shard,
                 Concurrency(shared_->timing.in_flight_start, shared_->timing.in_flight_max)) {}

env::Duration S3Client::for_bytes(const S3Call& call) const {
  return std::chrono::milliseconds(moved_bytes(call) * 1000 / kSlowBytesPerSecond);
}

Task<S3Reply> S3Client::run_of(Self self, S3CallPtr call) {
  env::Shard& shard = self->shard_;
  S3Shared& shared = *self->shared_;
  const S3Timing& timing = shared.timing;
  const env::Instant deadline =
      std::min(call->until, shard.now() + timing.total + self->for_bytes(*call));
  const std::string payload = co_await payload_of(self, call);
  bool maybe = false;
  for (unsigned retry = 0;; ++retry) {
    S3Reply reply = co_await round(self, call, payload, deadline);
    maybe = maybe || reply.judged.maybe;
    reply.judged.maybe = maybe;
    const S3Verdict verdict = reply.judged.verdict;
    if (verdict == S3Verdict::fine) shared.budget.earn();
    if (!is_retried(verdict)) co_return reply;
    const bool for_humans = verdict == S3Verdict::credentials || verdict == S3Verdict::clock;
    if (for_humans && !call->patient && retry > 0) co_return reply;
    const env::Duration pause = backoff(retry, timing.pause, timing.pause_max, shard.random());
    if (shard.now() + pause >= deadline) co_return reply;
    if (!shared.budget.try_spend()) {
      shared.stats.budget_exhausted.fetch_add(1, std::memory_order_relaxed);
      // Told late, so that whoever asks again at once is no storm either.
      co_await env::sleep_for(shard,
                              backoff(retry + 4, timing.pause, timing.pause_max, shard.random()));
      co_return reply;
    }
    co_await env::sleep_for(shard, pause);
    shared.stats.of(call->kind).retries.fetch_add(1, std::memory_order_relaxed);
  }
}

Task<std::string> S3Client::payload_of(Self self, S3CallPtr call) {
  const S3Location& location = self->shared_->location;
  const bool sign = location.sign_payload == S3Location::SignPayload::always ||
                    (location.sign_payload == S3Location::SignPayload::automatic && !location.tls);
  if (!sign && !call->body.empty()) co_return std::string(kUnsignedPayload);
  if (body_bytes(*call) <= kHashInPlaceMax) co_return sha256_hex(call->body);
  auto hash = [body = call->body] { return sha256_hex(body); };
  co_return co_await env::offload(self->shard_, std::move(hash));
}

LatencyWindow& S3Client::latency_of(const S3Call& call) {
  const uint64_t bytes = moved_bytes(call);
  const size_t size = bytes <= 64u << 10 ? 0 : bytes <= 1u << 20 ? 1 : bytes <= 8u << 20 ? 2 : 3;
  return latencies_[call.kind == S3Kind::get ? 1 : 0][size];
}

env::Duration S3Client::hedge_after(const S3Call& call) const {
  const bool can = call.kind == S3Kind::get || call.kind == S3Kind::put;
  if (!can || !shared_->timing.hedge || shard_.now() - throttled_at_ < kCalmFor) return {};
  const env::Duration usual = const_cast<S3Client*>(this)->latency_of(call).quantile(0.99);
  return usual == env::Duration::zero() ? usual : std::max(usual, shared_->timing.hedge_min);
}

bool S3Client::take_hedge() {
  if (hedge_tokens_ < 1) return false;
  hedge_tokens_ -= 1;
  return true;
}

// One attempt, or two when the first takes longer than nearly all others did. Two at a time are
// safe: a put creates once with the same bytes, so that of two at most one is told that it was
// done.
Task<S3Reply> S3Client::round(Self self, S3CallPtr call, std::string payload,
                              env::Instant deadline) {
  self->hedge_tokens_ = std::min(kHedgeTokensMax, self->hedge_tokens_ + kHedgeShare);
  const env::Duration patience = self->hedge_after(*call);
  if (patience == env::Duration::zero())
    co_return co_await attempt(self, call, std::move(payload), deadline, false, nullptr);
  env::Shard& shard = self->shard_;
  const auto race = std::make_shared<Race>(shard);
  shard.spawn(racer(self, call, payload, deadline, race, 0));
  const env::Instant second_at = shard.now() + patience;
  while (!race->replies[0] && shard.now() < second_at) co_await race->changed.wait_until(second_at);
  if (race->replies[0] || !self->take_hedge()) {
    while (!race->replies[0]) co_await race->changed.wait();
    co_return std::move(*race->replies[0]);
  }
  S3Stats::Kind& stats = self->shared_->stats.of(call->kind);
  stats.hedges.fetch_add(1, std::memory_order_relaxed);
  shard.spawn(racer(self, call, std::move(payload), deadline, race, 1));
  auto& [first, second] = race->replies;
  for (;;) {
    co_await race->changed.wait();
    for (size_t i = 0; i < 2; ++i) {
      auto& reply = race->replies[i];
      if (!reply || !settles(*call, reply->judged.verdict)) continue;
      if (race->cancels[1 - i]) race->cancels[1 - i]->cancel();
      if (i == 1) stats.hedges_won.fetch_add(1, std::memory_order_relaxed);
      co_return std::move(*reply);
    }
    if (first && second) break;
  }
  const S3Judged judged = combine(first->judged, second->judged);
  S3Reply& told = first->judged.verdict == judged.verdict ? *first : *second;
  told.judged = judged;
  co_return std::move(told);
}

Task<void> S3Client::racer(Self self, S3CallPtr call, std::string payload, env::Instant deadline,
                           std::shared_ptr<Race> race, size_t index) {
  race->cancels[index] = std::make_shared<net::HttpCancel>();
  race->replies[index] = co_await attempt(self, std::move(call), std::move(payload), deadline,
                                          index == 1, race->cancels[index]);
  race->changed.notify_all();
}

Task<S3Reply> S3Client::attempt(Self self, S3CallPtr call, std::string payload,
                                env::Instant deadline, bool hedged,
                                std::shared_ptr<net::HttpCancel> cancel) {
  env::Shard& shard = self->shard_;
  S3Stats& stats = self->shared_->stats;
  S3Reply reply;
  stats.waiting.fetch_add(1, std::memory_order_relaxed);
  const auto pass = co_await self->admission_.enter(deadline);
  stats.waiting.fetch_sub(1, std::memory_order_relaxed);
  if (!pass) {
    reply.judged = {S3Verdict::again, false, "it was not its turn in time"};
    co_return reply;
  }
  const env::Instant asked_at = shard.now();
  const CredentialsPtr credentials = self->shared_->credentials->current();
  net::HttpQuery query = self->make_query(*call, payload, *credentials);
  query.fresh = hedged;
  query.cancel = std::move(cancel);
  stats.in_flight.fetch_add(1, std::memory_order_relaxed);
  const env::Instant until =
      std::min(deadline, asked_at + self->shared_->timing.attempt + self->for_bytes(*call));
  net::HttpOutcome outcome = co_await self->pool_.ask(std::move(query), until);
  stats.in_flight.fetch_sub(1, std::memory_order_relaxed);
  reply.judged = judge_s3(outcome, call->method == "HEAD");
  if (outcome.answer) reply.answer = std::move(*outcome.answer);
  self->note(*call, reply, asked_at, hedged);
  self->note_refusal(*call, reply, credentials);
  co_return reply;
}

net::HttpQuery S3Client::make_query(const S3Call& call, const std::string& payload,
                                    const Credentials& credentials) {
  const S3Location& location = shared_->location;
  SignedRequest request;
  request.method = call.method;
  request.path = location.path_style ? "/" + location.bucket : std::string();
  if (!call.key.empty() || !location.path_style) request.path += "/" + url_encode(call.key, true);
  request.query = call.query;
  request.headers = call.headers;
  request.headers["host"] = pool_.host_header();
  const int64_t now_ms = shard_.wall_ms() + shared_->clock_offset_ms.load();
  net::HttpQuery query;
  query.target = signer_.sign(request, credentials.keys, now_ms, payload);
  query.method = call.method;
  query.headers = std::move(request.headers);
  query.body = call.body;
  query.answer_bytes_max = call.answer_bytes_max;
  // A put that was done twice is told so by the store, and the pool tells us.
  query.repeatable = call.kind != S3Kind::multipart_create;
  return query;
}

void S3Client::note(const S3Call& call, const S3Reply& reply, env::Instant asked_at, bool hedged) {
  S3Stats::Kind& kind = shared_->stats.of(call.kind);
  const S3Verdict verdict = reply.judged.verdict;
  const env::Duration took = shard_.now() - asked_at;
  auto add = [](std::atomic<uint64_t>& counter, uint64_t count) {
    counter.fetch_add(count, std::memory_order_relaxed);
  };
  add(kind.requests, 1);
  if (verdict != S3Verdict::fine) add(kind.failures, 1);
  add(kind.bytes_out, body_bytes(call));
  add(kind.bytes_in, reply.answer.body.size());
  if (reply.answer.status != 0) {
    const auto us = static_cast<uint64_t>(took / 1us);
    add(kind.latency_us, us);
    const size_t last = kind.latency_buckets.size() - 1;
    add(kind.latency_buckets[std::min<size_t>(last, std::bit_width(us / 1000))], 1);
  }
  // One that was given up would have taken longer still; a hedge tells nothing of pooled ones.
  if (!hedged && (verdict == S3Verdict::fine || verdict == S3Verdict::cancelled))
    latency_of(call).add(shard_.now(), took);
  if (verdict == S3Verdict::throttled) {
    add(kind.throttled, 1);
    throttled_at_ = shard_.now();
    admission_.limit().note_throttled(shard_.now(), asked_at);
  } else if (verdict == S3Verdict::fine) {
    admission_.limit().note_success();
  }
}

// What somebody may have to mend: said once in a while, and mended here if it can be.
void S3Client::note_refusal(const S3Call& call, const S3Reply& reply, const CredentialsPtr& used) {
  S3Shared& shared = *shared_;
  const std::string& bucket = shared.location.bucket;
  switch (reply.judged.verdict) {
    case S3Verdict::credentials:
      shared.stats.credentials_refused.fetch_add(1, std::memory_order_relaxed);
      shared.credentials->renew(used);
      alert(fmt::format("the store of bucket '{}' refuses the credentials from {}: {}", bucket,
                        used->source, reply.judged.why));
      break;
    case S3Verdict::clock: {
      shared.stats.clock_refused.fetch_add(1, std::memory_order_relaxed);
      const auto theirs = parse_http_date(reply.answer.header("date"));
      if (theirs && shared.may_correct_clock) shared.clock_offset_ms = *theirs - shard_.wall_ms();
      alert(fmt::format("the clock of this machine is off, says the store of bucket '{}': {}",
                        bucket, reply.judged.why));
      break;
    }
    case S3Verdict::denied:
    case S3Verdict::no_bucket:
    case S3Verdict::full:
      alert(fmt::format("{} in bucket '{}' was refused: {}", s3_kind_name(call.kind), bucket,
                        reply.judged.why));
      break;
    default:
      break;
  }
}

void S3Client::alert(const std::string& text) {
  const int64_t now_ms = shard_.now().since_start / 1ms;
  int64_t last = shared_->alerted_ms.load();
  if (last != 0 && now_ms - last < 10'000) return;
  if (shared_->alerted_ms.compare_exchange_strong(last, now_ms)) log_error("{}", text);
}

}  // namespace paceline::object
