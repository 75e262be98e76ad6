#include <fmt/format.h>
#include <unistd.h>

#include "client.h"

namespace crash {
namespace {

using paceline::history::Commit;
using paceline::history::CommittedRead;
using paceline::history::Outcome;

constexpr int kAskMs = 10'000;
constexpr int kAtOnce = 5'000;  // messages between two commits
constexpr Time kLeaveMax = std::chrono::seconds(30);

// Reads as a member of the group, and commits about five times a second.
class Member {
 public:
  explicit Member(const Arguments& arguments)
      : arguments_(arguments),
        notes_(arguments.file),
        polls_(notes_, static_cast<uint32_t>(arguments.number), kGroup, false),
        noise_(static_cast<uint64_t>(arguments.number)) {}

  int run() {
    rd_kafka_conf_t* conf = common_conf(arguments_);
    set(conf, "group.id", kGroupName);
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.auto.commit", "false");
    set(conf, "session.timeout.ms", "6000");
    set(conf, "heartbeat.interval.ms", "200");
    set(conf, "fetch.wait.max.ms", "50");
    set(conf, "fetch.error.backoff.ms", "20");
    set(conf, "max.poll.interval.ms", "60000");
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    char error[256];
    consumer_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (!consumer_) {
      fmt::print(stderr, "{}\n", error);
      return 2;
    }
    rd_kafka_poll_set_consumer(consumer_);
    auto* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, arguments_.topic.c_str(), RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer_, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    while (access(arguments_.stop.c_str(), F_OK) != 0) {
      read();
      if (now() < next_commit_) continue;
      commit();
      noise_ = noise_ * 6364136223846793005u + 1442695040888963407u;
      next_commit_ = now() + std::chrono::milliseconds(50 + (noise_ >> 33) % 300);
    }
    commit();
    if (!leave()) return 3;
    rd_kafka_consumer_close(consumer_);
    rd_kafka_destroy(consumer_);
    return 0;
  }

 private:
  // close() alone may never return (librdkafka's issue 4884): if it meets a rebalance that was not
  // told yet, it leaves the group without waiting for the callback, and what the callback then asks
  // of the library may be thrown away without an answer. So all callbacks are over before it; a
  // rebalance under way is finished first, which takes the coordinator's answers. To wait for the
  // one to the LeaveGroup stays with close().
  bool leave() {
    rd_kafka_unsubscribe(consumer_);
    const Time end = now() + kLeaveMax;
    while (assigned_ || is_member()) {
      if (now() >= end) {
        fmt::print(stderr, "member {}: cannot leave the group within 30 s, it still has {}\n",
                   arguments_.number, assigned_ ? "partitions" : "a member id");
        return false;
      }
      read();
    }
    return true;
  }

  bool is_member() const {
    char* id = rd_kafka_memberid(consumer_);
    const bool has_id = id && *id;
    rd_kafka_mem_free(consumer_, id);
    return has_id;
  }

  void read() {
    const Time asked = now();
    for (int i = 0; i < kAtOnce; ++i) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer_, i == 0 ? 20 : 0);
      if (!message) break;
      if (message->err) {
        fmt::print(stderr, "member {}: {}\n", arguments_.number, rd_kafka_message_errstr(message));
        // It was there when the group was given it.
        if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
            message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
          notes_.violation(static_cast<Key>(message->partition), rd_kafka_message_errstr(message));
      } else {
        polls_.take(*message);
      }
      rd_kafka_message_destroy(message);
    }
    polls_.tell(asked);
  }

  void commit() {
    if (polls_.positions().empty()) return;
    auto* offsets = rd_kafka_topic_partition_list_new(arguments_.partition_count);
    for (const auto& [key, position] : polls_.positions()) {
      auto* one = rd_kafka_topic_partition_list_add(offsets, arguments_.topic.c_str(),
                                                    static_cast<int32_t>(key));
      one->offset = position;
    }
    const Time asked = now();
    const rd_kafka_resp_err_t error = rd_kafka_commit(consumer_, offsets, 0);
    const Time told = now();
    // The library retries by itself, so even a refusal may follow an attempt that took effect.
    for (int i = 0; i < offsets->cnt; ++i) {
      const auto& one = offsets->elems[i];
      const bool done = !error && !one.err;
      notes_.add(Commit{kGroup, static_cast<Key>(one.partition), one.offset,
                        done ? Outcome::ok : Outcome::unknown},
                 asked, told);
    }
    rd_kafka_topic_partition_list_destroy(offsets);
  }

  static void rebalance(rd_kafka_t* consumer, rd_kafka_resp_err_t error,
                        rd_kafka_topic_partition_list_t* partitions, void* opaque) {
    Member& self = *static_cast<Member*>(opaque);
    self.polls_.tell(now());
    if (error != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      self.commit();
      self.polls_.forget();
      self.assigned_ = false;
      rd_kafka_assign(consumer, nullptr);
      return;
    }
    // What the group is given starts where it says that it was; so nobody may skip anything.
    const Time asked = now();
    bool known = rd_kafka_committed(consumer, partitions, kAskMs) == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < partitions->cnt; ++i) {
      auto& one = partitions->elems[i];
      if (!known || one.err) {
        one.offset = RD_KAFKA_OFFSET_STORED;  // the library asks again; its first record tells
        continue;
      }
      const int64_t offset = one.offset >= 0 ? one.offset : -1;
      self.notes_.add(CommittedRead{kGroup, static_cast<Key>(one.partition), offset}, asked, now());
      one.offset = std::max<int64_t>(offset, 0);
      self.polls_.position(static_cast<Key>(one.partition), one.offset);
    }
    self.assigned_ = true;
    rd_kafka_assign(consumer, partitions);
  }

  const Arguments& arguments_;
  Notes notes_;
  Polls polls_;
  uint64_t noise_;
  rd_kafka_t* consumer_ = nullptr;
  Time next_commit_{};
  bool assigned_ = false;  // by the group; until it is revoked
};

}  // namespace

int run_member(const Arguments& arguments) {
  return Member(arguments).run();
}

}  // namespace crash
