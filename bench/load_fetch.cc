// Consumers that read the same records from offset 0, each with a connection and a thread of its
// own, as fast as they can or at a rate. The clock starts at the first record: finding the leader
// is not what is measured.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <thread>

#include "load.h"

namespace paceline::bench {
namespace {

struct Consumed {
  double first = 0;
  double last = 0;
  long records = 0;
  long bytes = 0;
  bool failed = false;
};

void sleep_for(double seconds) {
  if (seconds <= 0) return;
  const timespec t{static_cast<time_t>(seconds), static_cast<long>(std::fmod(seconds, 1.0) * 1e9)};
  nanosleep(&t, nullptr);
}

void consume(const std::vector<std::string>& arguments, long records, Consumed& seen) {
  const double bytes_per_s = arguments.size() > 5 ? std::stod(arguments[5]) * 1e6 : 0;
  rd_kafka_conf_t* conf = client_conf(arguments[0]);
  // Eight megabytes of each partition: so that little is fetched beyond what is counted, and enough
  // that the queue does not fill up, after which this client fetches nothing for a second.
  set(conf, "queued.max.messages.kbytes",
      std::to_string(std::max(16, 8 * std::stoi(arguments[2])) * 1024).c_str());
  rd_kafka_t* client = start(RD_KAFKA_CONSUMER, conf);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, arguments[1].c_str(), nullptr);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  const int partitions = std::stoi(arguments[2]);
  for (int i = 0; i < partitions; ++i) rd_kafka_consume_start_queue(topic, i, 0, queue);
  std::vector<rd_kafka_message_t*> messages(1000);
  while (seen.records < records && !seen.failed) {
    // It waits until all the room is filled: there must be no more than what is still to come.
    const size_t room = std::min(messages.size(), static_cast<size_t>(records - seen.records));
    const ssize_t got = rd_kafka_consume_batch_queue(queue, 20'000, messages.data(), room);
    if (got <= 0) seen.failed = true;
    if (seen.first == 0) seen.first = now();
    for (ssize_t i = 0; i < got; ++i) {
      rd_kafka_message_t* message = messages[static_cast<size_t>(i)];
      if (message->err) {
        std::fprintf(stderr, "fetch: %s\n", rd_kafka_err2str(message->err));
        seen.failed = true;
      } else {
        ++seen.records;
        seen.bytes += static_cast<long>(message->len);
      }
      rd_kafka_message_destroy(message);
    }
    if (bytes_per_s > 0)
      sleep_for(seen.first + static_cast<double>(seen.bytes) / bytes_per_s - now());
  }
  seen.last = now();
  for (int i = 0; i < partitions; ++i) rd_kafka_consume_stop(topic, i);
  rd_kafka_queue_destroy(queue);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(client);
}

}  // namespace

int fetch(const std::vector<std::string>& arguments) {
  const long records = std::stol(arguments[3]);
  std::vector<Consumed> seen(static_cast<size_t>(std::stoi(arguments[4])));
  std::vector<std::thread> threads;
  for (Consumed& one : seen)
    threads.emplace_back([&arguments, records, &one] { consume(arguments, records, one); });
  for (std::thread& thread : threads) thread.join();
  Consumed all = seen.front();
  for (size_t i = 1; i < seen.size(); ++i) {
    all.first = std::min(all.first, seen[i].first);
    all.last = std::max(all.last, seen[i].last);
    all.records += seen[i].records;
    all.bytes += seen[i].bytes;
    all.failed |= seen[i].failed;
  }
  const double took = all.last - all.first;
  fmt::print(
      "{{\"records\":{},\"bytes\":{},\"seconds\":{:.4f},\"mb_per_s\":{:.2f},\"client_cpu_s\":{:.3f}"
      "}}\n",
      all.records, all.bytes, took, static_cast<double>(all.bytes) / took / 1e6, cpu_seconds());
  return all.failed ? 1 : 0;
}

}  // namespace paceline::bench
