#include "probe/client.h"

#include <fmt/format.h>

namespace paceline::probe {
namespace {

struct ConfEnd {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, ConfEnd>;

// What it has to say of errors comes as events; the rest would go to the terminal. Called by the
// library's threads.
void say_nothing(const rd_kafka_t*, int, const char*, const char*) {}

rd_kafka_vu_t argument(rd_kafka_vtype_t type) {
  rd_kafka_vu_t value{};
  value.vtype = type;
  return value;
}
rd_kafka_vu_t bytes_argument(rd_kafka_vtype_t type, std::string_view bytes) {
  rd_kafka_vu_t value = argument(type);
  value.u.mem = {const_cast<char*>(bytes.data()), bytes.size()};  // only read
  return value;
}

Result<Conf> conf_of(const Settings& settings) {
  Conf conf(rd_kafka_conf_new());
  char why[512];
  for (const auto& [name, value] : settings)
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why, sizeof why) !=
        RD_KAFKA_CONF_OK)
      return fail(Code::invalid_argument,
                  fmt::format("librdkafka does not take {}: {}", name, why));
  rd_kafka_conf_set_log_cb(conf.get(), say_nothing);
  return conf;
}

}  // namespace

Result<std::unique_ptr<Client>> Client::make(env::Shard& shard, Kind kind, const Settings& settings,
                                             Ears ears) {
  TRY(Conf conf, conf_of(settings));
  auto client = std::unique_ptr<Client>(new Client(shard, kind, std::move(ears)));
  rd_kafka_conf_set_opaque(conf.get(), client.get());
  if (kind == Kind::producer) {
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  } else {
    // Served by rd_kafka_consumer_poll(), on the thread that calls it.
    rd_kafka_conf_set_error_cb(
        conf.get(), [](rd_kafka_t*, int error, const char* text, void* self) {
          const auto code = static_cast<rd_kafka_resp_err_t>(error);
          static_cast<Client*>(self)->ears_.error(code, text, code == RD_KAFKA_RESP_ERR__FATAL);
        });
    if (client->ears_.rebalance)
      rd_kafka_conf_set_rebalance_cb(
          conf.get(),
          [](rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions,
             void* self) { static_cast<Client*>(self)->ears_.rebalance(what, partitions); });
  }
  char why[512];
  rd_kafka_t* made = rd_kafka_new(kind == Kind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
                                  conf.get(), why, sizeof why);
  if (!made)
    return fail(Code::invalid_argument, fmt::format("librdkafka makes no client: {}", why));
  (void)conf.release();  // it is the client's now
  client->handle_ = std::shared_ptr<rd_kafka_t>(made, [](rd_kafka_t* rk) {
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  });
  if (kind == Kind::producer) {
    client->queue_ = Queue(rd_kafka_queue_get_main(made));
  } else {
    rd_kafka_poll_set_consumer(made);
  }
  return client;
}

Client::~Client() {
  queue_.reset();
  if (!handle_) return;
  shard_.offload(0, [last = std::move(handle_)]() mutable { last.reset(); }, [] {});
}

size_t Client::poll(size_t most) {
  return kind_ == Kind::producer || closing_ ? poll_events(most) : poll_consumer(most);
}

size_t Client::poll_events(size_t most) {
  size_t taken = 0;
  while (taken < most) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue_.get(), 0);
    if (!event) break;
    // One event brings the answers of a whole batch.
    taken += std::max<size_t>(1, rd_kafka_event_message_count(event));
    take(event);
    rd_kafka_event_destroy(event);
  }
  return taken;
}

void Client::take(rd_kafka_event_t* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
      while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event))
        ears_.delivered(*message);
      return;
    case RD_KAFKA_EVENT_ERROR: {
      rd_kafka_resp_err_t error = rd_kafka_event_error(event);
      ears_.error(error, rd_kafka_event_error_string(event), error == RD_KAFKA_RESP_ERR__FATAL);
      return;
    }
    case RD_KAFKA_EVENT_REBALANCE:
      if (ears_.rebalance)
        ears_.rebalance(rd_kafka_event_error(event), rd_kafka_event_topic_partition_list(event));
      return;
    default:
      return;  // told to nobody: a commit's outcome
  }
}

size_t Client::poll_consumer(size_t most) {
  size_t taken = 0;
  while (taken < most) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_.get(), 0);
    if (!message) break;
    ++taken;
    ears_.record(*message);
    rd_kafka_message_destroy(message);
  }
  return taken;
}

rd_kafka_resp_err_t Client::produce(const Message& message) {
  rd_kafka_vu_t arguments[] = {argument(RD_KAFKA_VTYPE_TOPIC),
                               argument(RD_KAFKA_VTYPE_PARTITION),
                               argument(RD_KAFKA_VTYPE_MSGFLAGS),
                               argument(RD_KAFKA_VTYPE_OPAQUE),
                               bytes_argument(RD_KAFKA_VTYPE_VALUE, message.value),
                               bytes_argument(RD_KAFKA_VTYPE_KEY, message.key.value_or(""))};
  arguments[0].u.cstr = message.topic.c_str();
  arguments[1].u.i32 = message.partition;
  arguments[2].u.i = RD_KAFKA_MSG_F_COPY;
  arguments[3].u.ptr = reinterpret_cast<void*>(static_cast<uintptr_t>(message.number));
  const size_t count = std::size(arguments) - (message.key ? 0 : 1);
  rd_kafka_error_t* refused = rd_kafka_produceva(handle_.get(), arguments, count);
  if (!refused) return RD_KAFKA_RESP_ERR_NO_ERROR;
  const rd_kafka_resp_err_t why = rd_kafka_error_code(refused);
  rd_kafka_error_destroy(refused);
  return why;
}

void Client::begin_close() {
  queue_.reset(rd_kafka_queue_new(handle_.get()));
  closing_ = true;
  if (rd_kafka_error_t* refused = rd_kafka_consumer_close_queue(handle_.get(), queue_.get())) {
    ears_.error(rd_kafka_error_code(refused), rd_kafka_error_string(refused), false);
    rd_kafka_error_destroy(refused);
  }
}

}  // namespace paceline::probe
