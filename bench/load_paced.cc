// An open loop: when each record is due is fixed beforehand and stands in its payload; its latency
// runs from then to its acknowledgement, whether or not the client could send it in time. One
// thread sends, one takes the acknowledgements. SIGTERM ends it early.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "load.h"

namespace paceline::bench {
namespace {

constexpr double kWarmUp = 1.0;       // seconds that do not count
constexpr double kPause = 0.05;       // a record that took longer belongs to a pause
constexpr size_t kBuckets = 500'000;  // of one microsecond; the last holds all that took longer

std::atomic<bool> stopped = false;

// Owned by the thread that polls.
struct Seen {
  double counts_from = 0;
  long acked = 0;
  long failed = 0;
  long counted = 0;
  double worst_us = 0;
  std::vector<long> buckets = std::vector<long>(kBuckets);
  std::vector<std::pair<double, double>> pauses;  // [due, acknowledged), of records that took long

  void note(double due, double at) {
    if (due < counts_from) return;
    const double took_us = (at - due) * 1e6;
    worst_us = std::max(worst_us, took_us);
    ++buckets[std::min(kBuckets - 1, static_cast<size_t>(std::max(0.0, took_us)))];
    ++counted;
    if (at - due < kPause) return;
    if (!pauses.empty() && due <= pauses.back().second) {
      pauses.back().first = std::min(pauses.back().first, due);
      pauses.back().second = std::max(pauses.back().second, at);
    } else {
      pauses.emplace_back(due, at);
    }
  }

  double quantile_us(double q) const {
    const auto wanted = static_cast<long>(q * static_cast<double>(counted));
    long below = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      below += buckets[i];
      if (below > wanted) return i + 1 == kBuckets ? worst_us : static_cast<double>(i);
    }
    return worst_us;
  }
};

void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& seen = *static_cast<Seen*>(opaque);
  if (message->err) {
    ++seen.failed;
    return;
  }
  ++seen.acked;
  double due;
  std::memcpy(&due, message->payload, sizeof due);
  seen.note(due, now());
}

void sleep_until(double when) {
  const timespec t{
      static_cast<time_t>(when),
      static_cast<long>((when - static_cast<double>(static_cast<time_t>(when))) * 1e9)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

}  // namespace

int paced(const std::vector<std::string>& arguments) {
  const int partitions = std::stoi(arguments[2]);
  std::string payload =
      payload_of(std::max<size_t>(sizeof(double), static_cast<size_t>(std::stol(arguments[3]))));
  const double per_s = std::stod(arguments[5]);
  const double seconds = std::stod(arguments[6]);
  std::signal(SIGTERM, [](int) { stopped = true; });
  Seen seen;
  rd_kafka_conf_t* conf =
      producer_conf(arguments[0], static_cast<size_t>(std::stol(arguments[4])), "1");
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_conf_set_opaque(conf, &seen);
  rd_kafka_t* client = start(RD_KAFKA_PRODUCER, conf);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, arguments[1].c_str(), nullptr);
  const double began = now();
  seen.counts_from = began + kWarmUp;
  std::atomic<bool> all_sent = false;
  std::thread poller([&] {
    while (!all_sent || rd_kafka_outq_len(client) > 0) rd_kafka_poll(client, 20);
  });
  long sent = 0;
  long wrong = 0;
  while (!stopped) {
    const double due = began + static_cast<double>(sent) / per_s;
    if (due - began >= seconds + kWarmUp) break;
    if (due > now()) {
      sleep_until(std::max(due, now() + 100e-6));
      continue;
    }
    std::memcpy(payload.data(), &due, sizeof due);
    if (rd_kafka_produce(topic, static_cast<int>(sent % partitions), RD_KAFKA_MSG_F_COPY,
                         payload.data(), payload.size(), nullptr, 0, nullptr) == 0) {
      ++sent;
    } else if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      sleep_until(now() + 1e-3);
    } else {
      ++wrong;
      break;
    }
  }
  const double took = now() - began;
  all_sent = true;
  poller.join();
  std::string pauses;
  for (const auto& [from, to] : seen.pauses)
    pauses += fmt::format("{}[{:.4f},{:.4f}]", pauses.empty() ? "" : ",", from, to);
  fmt::print(
      "{{\"acked\":{},\"failed\":{},\"counted\":{},\"records_per_s\":{:.0f},\"bytes\":{},\"p50_"
      "us\":{:.0f},"
      "\"p99_us\":{:.0f},\"p999_us\":{:.0f},\"max_us\":{:.0f},\"client_cpu_s\":{:.3f},\"pauses\":[{"
      "}]}}\n",
      seen.acked, seen.failed, seen.counted, static_cast<double>(sent) / took,
      seen.acked * static_cast<long>(payload.size()), seen.quantile_us(0.5), seen.quantile_us(0.99),
      seen.quantile_us(0.999), seen.worst_us, cpu_seconds(), pauses);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(client);
  return wrong || seen.failed || seen.acked != sent || seen.counted == 0 ? 1 : 0;
}

}  // namespace paceline::bench
