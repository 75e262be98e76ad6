// The client of every row, on librdkafka. Prints one JSON line.
//   bench-load version
//   bench-load produce BROKERS TOPIC PARTITIONS RECORD_BYTES BATCH_BYTES RECORDS CONNECTIONS
//   bench-load latency BROKERS TOPIC RECORD_BYTES RECORDS
//   bench-load paced   BROKERS TOPIC PARTITIONS RECORD_BYTES BATCH_BYTES RECORDS_PER_S SECONDS
//   bench-load fetch   BROKERS TOPIC PARTITIONS RECORDS CONSUMERS [MB/s of each]
#include "load.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>

namespace paceline::bench {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void set(rd_kafka_conf_t* conf, const char* key, const std::string& value) {
  char error[256];
  if (rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof error) == RD_KAFKA_CONF_OK) return;
  std::fprintf(stderr, "%s\n", error);
  std::exit(1);
}

rd_kafka_conf_t* client_conf(const std::string& brokers) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", brokers);
  set(conf, "broker.address.family", "v4");
  return conf;
}

rd_kafka_conf_t* producer_conf(const std::string& brokers, size_t batch_bytes,
                               const char* linger_ms) {
  rd_kafka_conf_t* conf = client_conf(brokers);
  set(conf, "acks", "all");
  set(conf, "linger.ms", batch_bytes ? linger_ms : "0");
  if (batch_bytes) set(conf, "batch.size", std::to_string(batch_bytes));
  set(conf, "batch.num.messages", batch_bytes ? "1000000" : "1");
  set(conf, "queue.buffering.max.messages", "2000000");
  set(conf, "queue.buffering.max.kbytes", "262144");
  set(conf, "message.max.bytes", "1048588");
  return conf;
}

rd_kafka_t* start(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  char error[256];
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof error);
  if (client) return client;
  std::fprintf(stderr, "%s\n", error);
  std::exit(1);
}

std::string payload_of(size_t bytes) {
  std::string payload(bytes, '\0');
  unsigned seed = 12345;
  for (char& c : payload) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return payload;
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted.empty() ? 0.0
                        : sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
}

}  // namespace paceline::bench

int main(int argc, char** argv) {
  using namespace paceline::bench;
  const std::string kind = argc > 1 ? argv[1] : "";
  const std::vector<std::string> rest(argv + (argc > 2 ? 2 : argc), argv + argc);
  if (kind == "version") {
    fmt::print("{{\"librdkafka\":\"{}\"}}\n", rd_kafka_version_str());
    return 0;
  }
  if (kind == "produce" && rest.size() == 7) return produce(rest);
  if (kind == "latency" && rest.size() == 4) return latency(rest);
  if (kind == "paced" && rest.size() == 7) return paced(rest);
  if (kind == "fetch" && (rest.size() == 5 || rest.size() == 6)) return fetch(rest);
  std::fprintf(stderr,
               "usage: bench-load version | produce ... | latency ... | paced ... | fetch ...\n");
  return 2;
}
