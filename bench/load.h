#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <vector>

// What the kinds of load of bench-load share. A failure of the client library ends the program.
namespace paceline::bench {

double now();          // CLOCK_MONOTONIC, in seconds
double cpu_seconds();  // of this process so far

void set(rd_kafka_conf_t* conf, const char* key, const std::string& value);
rd_kafka_conf_t* client_conf(const std::string& brokers);
// acks=all. `batch_bytes` 0: one record a request.
rd_kafka_conf_t* producer_conf(const std::string& brokers, size_t batch_bytes,
                               const char* linger_ms);
rd_kafka_t* start(rd_kafka_type_t type, rd_kafka_conf_t* conf);
// Not compressible, and not the same everywhere.
std::string payload_of(size_t bytes);
// The value below which the share `q` of the sorted values lies.
double quantile(const std::vector<double>& sorted, double q);

// The kinds; each prints one JSON line and returns the program's status.
int produce(const std::vector<std::string>& arguments);
int latency(const std::vector<std::string>& arguments);
int paced(const std::vector<std::string>& arguments);
int fetch(const std::vector<std::string>& arguments);

}  // namespace paceline::bench
