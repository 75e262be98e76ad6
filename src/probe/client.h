#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "env/shard.h"
#include "probe/settings.h"

namespace paceline::probe {

// One client of librdkafka. The library has threads of its own; none of them ever runs our code:
// what it has to say waits in a queue, and is taken from it on the shard.
class Client {
 public:
  enum class Kind { producer, consumer };
  // Called on the shard, in poll() alone.
  struct Ears {
    std::function<void(rd_kafka_resp_err_t error, const char* text, bool fatal)> error;
    std::function<void(const rd_kafka_message_t& message)> delivered = {};
    // Of a consumer: a record, or an error of its partition.
    std::function<void(const rd_kafka_message_t& message)> record = {};
    // Of a consumer in a group, which has to assign what it is given.
    std::function<void(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions)>
        rebalance = {};
  };

  // invalid_argument: a setting that the library does not take, in its words.
  static Result<std::unique_ptr<Client>> make(env::Shard& shard, Kind kind,
                                              const Settings& settings, Ears ears);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Ends at once: no record is sent any more, no group is left. The library does so beside the
  // shard.
  ~Client();

  // Takes what has come, and returns how much that was: about so much at most.
  size_t poll(size_t most);
  // Of a producer: takes a copy. `number` comes back as the message's _private.
  struct Message {
    const std::string& topic;
    int32_t partition;
    std::string_view value;
    std::optional<std::string_view> key = {};
    uint64_t number = 0;
  };
  rd_kafka_resp_err_t produce(const Message& message);
  // Of a consumer: begins to commit and to leave its group. From now on poll() hears of that
  // alone, until closed().
  void begin_close();
  bool closed() const { return closing_ && rd_kafka_consumer_closed(handle_.get()) != 0; }

  rd_kafka_t* get() const { return handle_.get(); }
  // Keeps the library's object alive for work that blocks. Such work must let go of it itself, in
  // its own thread: the last one waits for the library's threads.
  std::shared_ptr<rd_kafka_t> share() const { return handle_; }

 private:
  struct QueueEnd {
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  };
  using Queue = std::unique_ptr<rd_kafka_queue_t, QueueEnd>;

  Client(env::Shard& shard, Kind kind, Ears ears)
      : shard_(shard), kind_(kind), ears_(std::move(ears)) {}
  size_t poll_events(size_t most);
  size_t poll_consumer(size_t most);
  void take(rd_kafka_event_t* event);

  env::Shard& shard_;
  const Kind kind_;
  const Ears ears_;
  std::shared_ptr<rd_kafka_t> handle_;
  Queue queue_;  // of events: of a consumer only once it closes
  bool closing_ = false;
};

}  // namespace paceline::probe
