#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "client.h"

namespace crash {
namespace {

using paceline::history::Outcome;
using paceline::history::Send;

constexpr int kInFlightMax = 20'000;  // records
constexpr uint32_t kRunMax = 5'000;   // records of one event
constexpr int kFlushMs = 90'000;
constexpr int kSessionBits = 32;  // a session's values start at its number, shifted by so many

// One instance of the library's idempotent producer, and the rows of records that it was told of.
class Session {
 public:
  Session(const Arguments& arguments, Notes& notes, uint32_t number)
      : notes_(notes), number_(number), next_(arguments.partition_count, first_value()) {
    for (int i = 0; i < arguments.partition_count; ++i)
      told_.push_back({first_value(), {}, Time()});
    rd_kafka_conf_t* conf = common_conf(arguments);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "2");
    set(conf, "batch.num.messages", "500");
    set(conf, "message.timeout.ms", "600000");
    set(conf, "retry.backoff.ms", "20");
    const char* codecs[] = {"none", "lz4", "zstd"};
    set(conf, "compression.type", codecs[(static_cast<size_t>(arguments.number) + number) % 3]);
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    char error[256];
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (!producer_) {
      fmt::print(stderr, "{}\n", error);
      std::exit(2);
    }
    topic_ = rd_kafka_topic_new(producer_, arguments.topic.c_str(), nullptr);
  }
  ~Session() {
    rd_kafka_topic_destroy(topic_);
    rd_kafka_destroy(producer_);
  }

  bool full() const { return rd_kafka_outq_len(producer_) >= kInFlightMax; }
  bool dead() const { return rd_kafka_fatal_error(producer_, nullptr, 0) != 0; }
  void poll(int wait_ms) {
    rd_kafka_poll(producer_, wait_ms);
    for (size_t key = 0; key < told_.size(); ++key) tell(static_cast<Key>(key));
  }
  void send(Key key) {
    const Value value = next_[key]++;
    write_payload(value, payload_);
    // The opaque pointer carries the value itself.
    const int failed =
        rd_kafka_produce(topic_, static_cast<int32_t>(key), RD_KAFKA_MSG_F_COPY, payload_.data(),
                         payload_.size(), nullptr, 0, reinterpret_cast<void*>(value));
    if (failed) hear(key, value, Outcome::fail, -1, now());  // never left the client
  }
  // Waits for all answers. False if some have not come: what became of those records is open.
  bool finish() {
    rd_kafka_flush(producer_, kFlushMs);
    poll(0);
    bool complete = true;
    for (size_t key = 0; key < told_.size(); ++key)
      while (told_[key].next < next_[key]) {
        complete = false;
        hear(static_cast<Key>(key), told_[key].next, Outcome::unknown, -1, now());
      }
    for (size_t key = 0; key < told_.size(); ++key) tell(static_cast<Key>(key));
    return complete;
  }

 private:
  struct Row {
    Value next = 0;  // the first that was not told
    std::optional<Send> open;
    Time invoked;
  };
  Value first_value() const { return static_cast<Value>(number_) << kSessionBits; }

  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    const auto sent_ago = std::chrono::microseconds(rd_kafka_message_latency(message));
    const auto slack = std::chrono::milliseconds(1);
    Outcome outcome = Outcome::ok;
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE) {
      outcome = Outcome::fail;  // never left the client
    } else if (message->err) {
      outcome = Outcome::unknown;
      fmt::print(stderr, "delivery: {}\n", rd_kafka_err2name(message->err));
    }
    static_cast<Session*>(self)->hear(
        static_cast<Key>(message->partition), reinterpret_cast<Value>(message->_private), outcome,
        outcome == Outcome::ok ? message->offset : -1, now() - sent_ago - slack);
  }

  void hear(Key key, Value value, Outcome outcome, int64_t offset, Time invoked) {
    Row& row = told_[key];
    row.next = std::max(row.next, value + 1);
    if (row.open) {
      Send& open = *row.open;
      const bool goes_on = open.first + open.count == value && open.outcome == outcome &&
                           offset == (open.base < 0 ? -1 : open.base + open.count);
      if (goes_on && open.count < kRunMax) {
        ++open.count;
        return;
      }
      tell(key);
    }
    Send send;
    send.producer = number_;
    send.key = key;
    send.first = value;
    send.count = 1;
    send.order = value;  // values are given in the order of sending
    send.outcome = outcome;
    send.base = offset;
    row.open = send;
    row.invoked = invoked;
  }
  void tell(Key key) {
    Row& row = told_[key];
    if (row.open) notes_.add(std::move(*row.open), row.invoked, now());
    row.open.reset();
  }

  Notes& notes_;
  const uint32_t number_;
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  std::vector<Value> next_;  // by partition: the value of the next record
  std::vector<Row> told_;    // by partition
  std::string payload_;
};

}  // namespace

int run_producer(const Arguments& arguments) {
  constexpr int kAtOnce = 64;
  Notes notes(arguments.file);
  bool complete = true;
  uint64_t state = static_cast<uint64_t>(arguments.number);
  const auto stopped = [&] { return access(arguments.stop.c_str(), F_OK) == 0; };
  for (uint32_t number = 1; !stopped(); ++number) {
    Session session(arguments, notes, number);
    Time begun = now();
    double sent = 0;
    while (!stopped() && !session.dead()) {
      const double due = std::chrono::duration<double>(now() - begun).count() *
                         static_cast<double>(arguments.rate);
      if (session.full() || sent > due) {
        session.poll(1);
        continue;
      }
      // What a broker that was down has missed is not made up for.
      if (due - sent > static_cast<double>(arguments.rate)) {
        begun = now();
        sent = 0;
      }
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto key = static_cast<Key>((state >> 33) % arguments.partition_count);
      for (int i = 0; i < kAtOnce; ++i) session.send(key);
      sent += kAtOnce;
      session.poll(0);
    }
    complete = session.finish() && complete;
  }
  if (!complete)
    fmt::print(stderr, "records without an answer {} s after the end\n", kFlushMs / 1000);
  return complete ? 0 : 1;
}

}  // namespace crash
