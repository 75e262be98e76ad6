#include "probe/rights.h"

#include "probe/reading.h"

namespace paceline::probe {
namespace {

constexpr int64_t kEachNs = 100'000'000;
constexpr int64_t kAnswerWithinNs = 5'000'000'000;
constexpr size_t kHeardOfOneTurn = 100;

Settings settings_of(const Options& options, const Options::Right& right) {
  const std::string name = "right-" + right.name;
  Settings settings = right.operation == "write" ? producer_settings(options, name)
                                                 : reader_to_the_end_settings(options, name);
  // One record is one try, and tells by itself.
  if (right.operation == "write") {
    settings["enable.idempotence"] = "false";
    settings["message.timeout.ms"] = "4000";
  }
  for (const auto& [key, value] : right.client) settings[key] = value;
  return settings;
}

}  // namespace

// One right, one client, one try at a time.
class Rights::Try {
 public:
  Try(Rights& all, size_t index)
      : all_(all), index_(index), right_(all.book_.rights()[index]), due_ns_(now_ns()) {}

  Result<void> start() {
    Client::Ears ears{
        .error = [this](rd_kafka_resp_err_t error, const char*, bool) { refused(error); }};
    const bool writes = right_.operation == "write";
    if (writes) {
      ears.delivered = [this](const rd_kafka_message_t& message) { answer(message.err); };
    } else {
      ears.record = [this](const rd_kafka_message_t& message) { answer(message.err); };
    }
    TRY(client_,
        Client::make(all_.stage_.shard, writes ? Client::Kind::producer : Client::Kind::consumer,
                     settings_of(all_.stage_.options, right_), std::move(ears)));
    return {};
  }

  void turn() {
    client_->poll(kHeardOfOneTurn);
    const int64_t now = now_ns();
    if (since_ns_ && now - *since_ns_ > kAnswerWithinNs) end(Permission::unknown);
    if (since_ns_ || now < due_ns_) return;
    due_ns_ = now + kEachNs;
    since_ns_ = now;
    if (const auto error = right_.operation == "write" ? write() : read()) answer(error);
  }

 private:
  int64_t now_ns() const { return all_.stage_.teller.now_ns(); }

  rd_kafka_resp_err_t write() {
    return client_->produce({.topic = right_.topic, .partition = 0, .value = "may I?"});
  }
  // The last record, or that there is none.
  rd_kafka_resp_err_t read() {
    Partitions list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), right_.topic.c_str(), 0)->offset =
        RD_KAFKA_OFFSET_TAIL(1);
    return rd_kafka_assign(client_->get(), list.get());
  }

  // Who may not even connect hears of that apart from what it tried.
  void refused(rd_kafka_resp_err_t error) {
    if (permission_of(error) == Permission::denied) end(Permission::denied);
  }
  void answer(rd_kafka_resp_err_t error) { end(permission_of(error)); }
  // Later words on the same try are not heard.
  void end(Permission permission) {
    if (!since_ns_) return;
    since_ns_.reset();
    all_.answered(index_, permission);
  }

  Rights& all_;
  const size_t index_;
  const Options::Right& right_;
  std::unique_ptr<Client> client_;
  int64_t due_ns_;
  std::optional<int64_t> since_ns_;  // of the try under way
};

Rights::Rights(Stage& stage) : stage_(stage), book_(stage.options.rights) {}
Rights::~Rights() = default;

Result<void> Rights::start() {
  for (size_t i = 0; i < book_.rights().size(); ++i) {
    auto one = std::make_unique<Try>(*this, i);
    TRY_VOID(one->start());
    tries_.push_back(std::move(one));
  }
  return {};
}

void Rights::stop() {
  tries_.clear();
}

void Rights::turn() {
  for (auto& one : tries_) one->turn();
}

void Rights::each_second() {
  if (tries_.empty()) return;
  auto event = stage_.teller.now("probe", "control", "rights.tried");
  book_.tell(event);
  stage_.teller.event(std::move(event));
}

void Rights::answered(size_t right, Permission permission) {
  auto event = stage_.teller.now("probe", "control", "right.answered");
  if (book_.answered(right, permission, event)) stage_.teller.event(std::move(event));
}

}  // namespace paceline::probe
