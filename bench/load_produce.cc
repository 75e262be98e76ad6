// As fast as the client can, on one or more connections; and one record at a time, for its latency.
#include <fmt/format.h>

#include <algorithm>

#include "load.h"

namespace paceline::bench {
namespace {

long failed = 0;
long acked = 0;
void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err)
    ++failed;
  else
    ++acked;
}

struct Producer {
  rd_kafka_t* client;
  rd_kafka_topic_t* topic;

  bool send(int partition, const std::string& payload) {
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY,
                            const_cast<char*>(payload.data()), payload.size(), nullptr, 0,
                            nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
      rd_kafka_poll(client, 1);
    }
    return true;
  }
};

Producer open(const std::string& brokers, const std::string& topic, size_t batch_bytes,
              const char* linger_ms) {
  rd_kafka_conf_t* conf = producer_conf(brokers, batch_bytes, linger_ms);
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_t* client = start(RD_KAFKA_PRODUCER, conf);
  return {client, rd_kafka_topic_new(client, topic.c_str(), nullptr)};
}

void close(Producer& producer) {
  rd_kafka_topic_destroy(producer.topic);
  rd_kafka_destroy(producer.client);
}

}  // namespace

int produce(const std::vector<std::string>& arguments) {
  const int partitions = std::stoi(arguments[2]);
  const auto record_bytes = static_cast<size_t>(std::stol(arguments[3]));
  const auto batch_bytes = static_cast<size_t>(std::stol(arguments[4]));
  const long records = std::stol(arguments[5]);
  const std::string payload = payload_of(record_bytes);
  std::vector<Producer> producers;
  for (int i = 0; i < std::stoi(arguments[6]); ++i)
    producers.push_back(open(arguments[0], arguments[1], batch_bytes, "5"));
  // Connections and topic are there before the clock starts.
  for (size_t i = 0; i < producers.size(); ++i) {
    if (!producers[i].send(static_cast<int>(i) % partitions, payload)) return 1;
  }
  for (Producer& producer : producers) {
    if (rd_kafka_flush(producer.client, 10'000) != 0) return 1;
  }
  acked = 0;
  // A partition gets a batch full of records before the next has its turn, so that batches are as
  // big as the row says however many partitions there are.
  const long burst = std::max<long>(1, static_cast<long>(batch_bytes / record_bytes));
  const double cpu_before = cpu_seconds();
  const double began = now();
  for (long n = 0; n < records; ++n) {
    const auto turn = static_cast<size_t>(n / burst);
    if (!producers[turn % producers.size()].send(
            static_cast<int>(turn % static_cast<size_t>(partitions)), payload))
      return 1;
    if (n % 1024 == 0) {
      for (Producer& producer : producers) rd_kafka_poll(producer.client, 0);
    }
  }
  for (Producer& producer : producers) rd_kafka_flush(producer.client, 120'000);
  const double took = now() - began;
  fmt::print(
      "{{\"acked\":{},\"failed\":{},\"seconds\":{:.4f},\"mb_per_s\":{:.2f},\"records_per_s\":{:.0f}"
      ","
      "\"bytes\":{},\"client_cpu_s\":{:.3f}}}\n",
      acked, failed, took,
      static_cast<double>(acked) * static_cast<double>(record_bytes) / took / 1e6,
      static_cast<double>(acked) / took, acked * static_cast<long>(record_bytes),
      cpu_seconds() - cpu_before);
  for (Producer& producer : producers) close(producer);
  return failed || acked != records ? 1 : 0;
}

int latency(const std::vector<std::string>& arguments) {
  const std::string payload = payload_of(static_cast<size_t>(std::stol(arguments[2])));
  const long records = std::stol(arguments[3]);
  Producer producer = open(arguments[0], arguments[1], 0, "0");
  constexpr int kWarmUp = 50;
  std::vector<double> took_us;
  for (long n = -kWarmUp; n < records; ++n) {
    const double sent = now();
    const long before = acked + failed;
    if (!producer.send(0, payload)) return 1;
    while (acked + failed == before) rd_kafka_poll(producer.client, 1000);
    if (n >= 0) took_us.push_back((now() - sent) * 1e6);
  }
  std::sort(took_us.begin(), took_us.end());
  fmt::print("{{\"acked\":{},\"failed\":{},\"p50_us\":{:.0f},\"p99_us\":{:.0f}}}\n", acked, failed,
             quantile(took_us, 0.5), quantile(took_us, 0.99));
  close(producer);
  return failed ? 1 : 0;
}

}  // namespace paceline::bench
