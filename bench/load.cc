// Produces as fast as librdkafka can, or one at a time for latency, and prints one JSON line.
//   bench-load BROKERS TOPIC PARTITIONS RECORD_BYTES BATCH_BYTES RECORDS [latency]

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

long failed = 0;
long acked = 0;
void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err) ++failed;
  else ++acked;
}

void set(rd_kafka_conf_t* conf, const char* key, const std::string& value) {
  char error[256];
  if (rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) {
    std::fprintf(stderr, "%s\n", error);
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr, "usage: bench-load BROKERS TOPIC PARTITIONS RECORD_BYTES BATCH_BYTES RECORDS [latency]\n");
    return 2;
  }
  const int partitions = std::atoi(argv[3]);
  const size_t record_bytes = static_cast<size_t>(std::atol(argv[4]));
  const long records = std::atol(argv[6]);
  const bool latency = argc > 7;
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", argv[1]);
  set(conf, "broker.address.family", "v4");
  set(conf, "acks", "all");
  set(conf, "linger.ms", latency ? "0" : "5");
  set(conf, "batch.size", argv[5]);
  set(conf, "batch.num.messages", "1000000");
  set(conf, "queue.buffering.max.messages", "2000000");
  set(conf, "queue.buffering.max.kbytes", "262144");
  set(conf, "message.max.bytes", "1048588");
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  char error[256];
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  if (!producer) {
    std::fprintf(stderr, "%s\n", error);
    return 1;
  }
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, argv[2], nullptr);
  // Not compressible, and not the same everywhere.
  std::string payload(record_bytes, '\0');
  unsigned seed = 12345;
  for (char& c : payload) c = static_cast<char>(seed = seed * 1664525u + 1013904223u, seed >> 24);

  auto send = [&](int partition) {
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, payload.data(), payload.size(), nullptr, 0,
                            nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
      rd_kafka_poll(producer, 1);
    }
    return true;
  };
  // The connection and the topic are there before the clock starts.
  send(0);
  rd_kafka_flush(producer, 30'000);
  acked = 0;
  std::vector<double> latencies;
  const double start = now();
  for (long n = 0; n < records; ++n) {
    const double sent = now();
    if (!send(static_cast<int>(n % partitions))) return 1;
    if (latency) {
      const long before = acked + failed;
      while (acked + failed == before) rd_kafka_poll(producer, 1000);
      latencies.push_back(now() - sent);
    } else if (n % 1024 == 0) {
      rd_kafka_poll(producer, 0);
    }
  }
  rd_kafka_flush(producer, 120'000);
  const double took = now() - start;
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  std::sort(latencies.begin(), latencies.end());
  auto at = [&](double q) { return latencies.empty() ? 0.0 : latencies[static_cast<size_t>(q * static_cast<double>(latencies.size() - 1))] * 1e6; };
  fmt::print("{{\"acked\":{},\"failed\":{},\"seconds\":{:.4f},\"mb_per_s\":{:.2f},\"records_per_s\":{:.0f},"
             "\"client_cpu_s\":{:.3f},\"p50_us\":{:.0f},\"p99_us\":{:.0f}}}\n",
             acked, failed, took, static_cast<double>(acked) * static_cast<double>(record_bytes) / took / 1e6,
             static_cast<double>(acked) / took, cpu, at(0.5), at(0.99));
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
  return failed ? 1 : 0;
}
