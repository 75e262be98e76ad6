#include "server/store_metrics.h"

namespace paceline::server {
namespace {

using object::Traffic;

void add_traffic(PrometheusText& text, const StoreTraffic& traffic) {
  struct Kind {
    std::string_view name;
    std::atomic<uint64_t> Traffic::* count;
  };
  constexpr Kind kKinds[] = {{"put", &Traffic::puts},
                             {"get", &Traffic::gets},
                             {"head", &Traffic::heads},
                             {"delete", &Traffic::removes},
                             {"list", &Traffic::lists}};
  text.describe("paceline_objects_asked_total", "counter",
                "What was asked of the object store, by purpose and kind; keys, of deletes.");
  for (size_t i = 0; i < kPurposes.size(); ++i)
    for (const Kind& kind : kKinds)
      text.value("paceline_objects_asked_total",
                 fmt::format("purpose=\"{}\",kind=\"{}\"", kPurposes[i], kind.name),
                 (traffic.all[i].*kind.count).load(std::memory_order_relaxed));
  text.describe("paceline_objects_failures_total", "counter",
                "What the object store did not do, by purpose; retries included.");
  for (size_t i = 0; i < kPurposes.size(); ++i)
    text.value("paceline_objects_failures_total", fmt::format("purpose=\"{}\"", kPurposes[i]),
               traffic.all[i].failures.load(std::memory_order_relaxed));
  text.describe("paceline_objects_bytes_total", "counter",
                "Bytes of bodies that went to the object store and came from it, by purpose.");
  for (size_t i = 0; i < kPurposes.size(); ++i) {
    const Traffic& of = traffic.all[i];
    text.value("paceline_objects_bytes_total",
               fmt::format("purpose=\"{}\",direction=\"out\"", kPurposes[i]),
               of.bytes_put.load(std::memory_order_relaxed));
    text.value("paceline_objects_bytes_total",
               fmt::format("purpose=\"{}\",direction=\"in\"", kPurposes[i]),
               of.bytes_got.load(std::memory_order_relaxed));
  }
}

void add_s3(PrometheusText& text, const object::S3Stats& s3) {
  using Kind = object::S3Stats::Kind;
  struct Counter {
    std::string_view name;
    std::string_view help;
    std::atomic<uint64_t> Kind::* count;
  };
  constexpr Counter kCounters[] = {
      {"paceline_s3_requests_total", "Requests that reached the network: what a bill counts.",
       &Kind::requests},
      {"paceline_s3_failures_total", "Of them: without the answer that was hoped for.",
       &Kind::failures},
      {"paceline_s3_retries_total", "Of them: asked again.", &Kind::retries},
      {"paceline_s3_hedges_total", "Of them: asked beside a slow first one.", &Kind::hedges},
      {"paceline_s3_throttled_total", "Answers 429 and 503.", &Kind::throttled},
      {"paceline_s3_bytes_out_total", "Bytes of bodies sent.", &Kind::bytes_out},
      {"paceline_s3_bytes_in_total", "Bytes of bodies received.", &Kind::bytes_in},
  };
  for (const Counter& counter : kCounters) {
    text.describe(counter.name, "counter", counter.help);
    for (size_t i = 0; i < object::kS3Kinds; ++i)
      text.value(counter.name,
                 fmt::format("kind=\"{}\"", object::s3_kind_name(static_cast<object::S3Kind>(i))),
                 (s3.kinds[i].*counter.count).load(std::memory_order_relaxed));
  }
  text.describe("paceline_s3_request_seconds", "histogram", "Answered requests, by kind.");
  for (size_t i = 0; i < object::kS3Kinds; ++i) {
    const Kind& kind = s3.kinds[i];
    const auto name = object::s3_kind_name(static_cast<object::S3Kind>(i));
    uint64_t cumulative = 0;
    for (size_t bucket = 0; bucket < kind.latency_buckets.size(); ++bucket) {
      cumulative += kind.latency_buckets[bucket].load(std::memory_order_relaxed);
      const std::string bound = bucket + 1 == kind.latency_buckets.size()
                                    ? "+Inf"
                                    : fmt::format("{}", static_cast<double>(1ull << bucket) / 1e3);
      text.value("paceline_s3_request_seconds_bucket",
                 fmt::format("kind=\"{}\",le=\"{}\"", name, bound), cumulative);
    }
    text.value("paceline_s3_request_seconds_sum", fmt::format("kind=\"{}\"", name),
               static_cast<double>(kind.latency_us.load(std::memory_order_relaxed)) / 1e6);
    text.value("paceline_s3_request_seconds_count", fmt::format("kind=\"{}\"", name), cumulative);
  }
  auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                 const std::atomic<uint64_t>& value) {
    text.one(name, type, help, value.load(std::memory_order_relaxed));
  };
  one("paceline_s3_credentials_refused_total", "counter",
      "Answers that refused our credentials: alert.", s3.credentials_refused);
  one("paceline_s3_clock_refused_total", "counter", "Answers that refused our clock.",
      s3.clock_refused);
  one("paceline_s3_budget_exhausted_total", "counter",
      "Retries that were not made, because the store fails too often.", s3.budget_exhausted);
  one("paceline_s3_waiting", "gauge", "Requests that wait for their turn.", s3.waiting);
  one("paceline_s3_in_flight", "gauge", "Requests on their way.", s3.in_flight);
}

void add_slots(PrometheusText& text, const wal::ObjectWalCounters& slots) {
  auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                 const std::atomic<uint64_t>& value) {
    text.one(name, type, help, value.load(std::memory_order_relaxed));
  };
  one("paceline_wal_slots_total", "counter", "Objects of the WAL that are durable.", slots.slots);
  one("paceline_wal_slot_bytes_total", "counter", "Their bytes.", slots.slot_bytes);
  one("paceline_wal_slot_retries_total", "counter", "Requests for them that were made again.",
      slots.retries);
  one("paceline_wal_slot_late_total", "counter", "Answers behind their deadline.", slots.late);
  one("paceline_wal_fences_total", "counter", "Lanes of ours that somebody else sealed.",
      slots.fences);
  one("paceline_wal_slots_unacknowledged", "gauge", "Objects of the WAL on their way.",
      slots.un_acked);
}

}  // namespace

void add_store_metrics(PrometheusText& text, const StoreFigures& figures) {
  if (figures.traffic) add_traffic(text, *figures.traffic);
  if (figures.s3) add_s3(text, *figures.s3);
  if (figures.slots) add_slots(text, *figures.slots);
}

}  // namespace paceline::server
