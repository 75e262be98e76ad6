#include <fmt/format.h>

#include <set>

#include "client.h"

namespace crash {
namespace {

using paceline::history::CommittedRead;
using paceline::history::Poll;

constexpr int kAskMs = 20'000;
constexpr auto kReadWithin = std::chrono::seconds(240);
constexpr uint32_t kFinalReader = 99;

rd_kafka_t* make_consumer(const Arguments& arguments, const char* group) {
  rd_kafka_conf_t* conf = common_conf(arguments);
  set(conf, "group.id", group);
  set(conf, "enable.auto.commit", "false");
  set(conf, "auto.offset.reset", "error");
  char error[256];
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  if (!consumer) {
    fmt::print(stderr, "{}\n", error);
    std::exit(2);
  }
  rd_kafka_poll_set_consumer(consumer);
  return consumer;
}

rd_kafka_topic_partition_list_t* all_partitions(const Arguments& arguments) {
  auto* all = rd_kafka_topic_partition_list_new(arguments.partition_count);
  rd_kafka_topic_partition_list_add_range(all, arguments.topic.c_str(), 0,
                                          arguments.partition_count - 1);
  return all;
}

}  // namespace

int run_look(const Arguments& arguments) {
  Notes notes(arguments.file);
  rd_kafka_t* consumer = make_consumer(arguments, kGroupName);
  auto* all = all_partitions(arguments);
  const Time asked = now();
  // No answer is no observation: the broker may be down.
  if (!rd_kafka_committed(consumer, all, kAskMs)) {
    const Time told = now();
    for (int i = 0; i < all->cnt; ++i) {
      const auto& one = all->elems[i];
      const int64_t offset = one.offset >= 0 ? one.offset : -1;
      if (!one.err)
        notes.add(CommittedRead{kGroup, static_cast<Key>(one.partition), offset}, asked, told);
    }
  }
  rd_kafka_topic_partition_list_destroy(all);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return 0;
}

int run_final_reader(const Arguments& arguments) {
  Notes notes(arguments.file);
  Polls polls(notes, kFinalReader, 0, true);
  rd_kafka_t* consumer = make_consumer(arguments, "crash-final");
  auto* all = all_partitions(arguments);
  std::map<Key, int64_t> ends;
  std::set<Key> missing;
  for (int i = 0; i < all->cnt; ++i) {
    const auto key = static_cast<Key>(i);
    Poll bounds;
    bounds.reader = kFinalReader;
    bounds.key = key;
    bounds.last = true;
    const Time asked = now();
    if (rd_kafka_query_watermark_offsets(consumer, arguments.topic.c_str(), i, &bounds.log_start,
                                         &bounds.high_watermark, kAskMs)) {
      fmt::print(stderr, "the bounds of partition {} are not to be had\n", i);
      return 1;
    }
    ends[key] = bounds.high_watermark;
    if (bounds.high_watermark > bounds.log_start) missing.insert(key);
    all->elems[i].offset = bounds.log_start;
    polls.position(key, bounds.log_start);
    notes.add(std::move(bounds), asked, now());
  }
  rd_kafka_assign(consumer, all);
  const Time deadline = now() + kReadWithin;
  while (!missing.empty() && now() < deadline) {
    const Time asked = now();
    for (int i = 0; i < 10'000; ++i) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, i == 0 ? 100 : 0);
      if (!message) break;
      const auto key = static_cast<Key>(message->partition);
      if (message->err) {
        fmt::print(stderr, "partition {}: {}\n", key, rd_kafka_message_errstr(message));
        notes.violation(key, rd_kafka_message_errstr(message));
        missing.erase(key);
      } else {
        polls.take(*message);
        if (message->offset + 1 >= ends[key]) missing.erase(key);
      }
      rd_kafka_message_destroy(message);
    }
    polls.tell(asked);
  }
  rd_kafka_topic_partition_list_destroy(all);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  for (Key key : missing) fmt::print(stderr, "partition {} was not read to its end in time\n", key);
  return missing.empty() ? 0 : 1;
}

}  // namespace crash
