#include "probe/admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "probe/client.h"

namespace paceline::probe {
namespace {

constexpr env::Duration kPause = std::chrono::milliseconds(100);
constexpr int kPatienceMs = 5'000;

struct QueueEnd {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
struct EventEnd {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
struct OptionsEnd {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};
struct NewTopicEnd {
  void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
};
struct DeleteTopicEnd {
  void operator()(rd_kafka_DeleteTopic_t* topic) const { rd_kafka_DeleteTopic_destroy(topic); }
};
using Event = std::unique_ptr<rd_kafka_event_t, EventEnd>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, OptionsEnd>;
using NewTopicHandle = std::unique_ptr<rd_kafka_NewTopic_t, NewTopicEnd>;

std::unexpected<Error> said(rd_kafka_resp_err_t error, const std::string& what, const char* text) {
  Code code = Code::unavailable;
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) code = Code::already_exists;
  if (error == RD_KAFKA_RESP_ERR__TIMED_OUT) code = Code::timed_out;
  return fail(code, fmt::format("{}: {}", what, text ? text : rd_kafka_err2str(error)));
}

struct Answered {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  Admin::Cluster cluster;
};

// Blocks.
Answered ask_for_metadata(rd_kafka_t* rk) {
  Answered answered;
  const rd_kafka_metadata_t* metadata = nullptr;
  answered.error = rd_kafka_metadata(rk, 1, nullptr, &metadata, kPatienceMs);
  if (answered.error) return answered;
  Admin::Cluster& cluster = answered.cluster;
  for (int i = 0; i < metadata->broker_cnt; ++i) {
    const auto& broker = metadata->brokers[i];
    cluster.brokers.push_back({broker.id, broker.host, static_cast<uint16_t>(broker.port)});
  }
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const auto& topic = metadata->topics[i];
    Admin::Cluster::Topic one{topic.topic, {}};
    one.leaders.resize(static_cast<size_t>(std::max(topic.partition_cnt, 0)), -1);
    for (int p = 0; p < topic.partition_cnt; ++p) {
      const auto id = static_cast<size_t>(topic.partitions[p].id);
      if (id < one.leaders.size()) one.leaders[id] = topic.partitions[p].leader;
    }
    cluster.topics.push_back(std::move(one));
  }
  rd_kafka_metadata_destroy(metadata);
  std::ranges::sort(cluster.topics, {}, &Admin::Cluster::Topic::name);
  if (char* id = rd_kafka_clusterid(rk, kPatienceMs)) {
    cluster.id = id;
    rd_kafka_mem_free(rk, id);
  }
  return answered;
}

class LibraryAdmin final : public Admin {
 public:
  explicit LibraryAdmin(env::Shard& shard) : shard_(shard) {}

  Result<void> start(const Settings& settings) {
    TRY(client_, Client::make(shard_, Client::Kind::producer, settings,
                              {.error = [this](rd_kafka_resp_err_t, const char* text,
                                               bool) { last_error_ = text; },
                               .delivered = [](const rd_kafka_message_t&) {}}));
    answers_.reset(rd_kafka_queue_new(client_->get()));
    return {};
  }
  ~LibraryAdmin() override { answers_.reset(); }

  Task<Result<Cluster>> look(env::Instant deadline) override {
    for (;;) {
      auto answered = co_await env::offload(shard_, [rk = client_->share()]() mutable {
        auto answer = ask_for_metadata(rk.get());
        rk.reset();  // the last one waits for the library's threads: here it may
        return answer;
      });
      client_->poll(kEventsAtOnce);
      if (!answered.error) co_return std::move(answered.cluster);
      if (shard_.now() >= deadline)
        co_return fail(Code::unavailable,
                       last_error_.empty() ? rd_kafka_err2str(answered.error) : last_error_);
      co_await env::sleep_for(shard_, kPause);
    }
  }

  Task<Result<void>> create_topics(std::vector<NewTopic> topics, env::Instant deadline) override {
    if (topics.empty()) co_return Result<void>{};
    std::vector<NewTopicHandle> made;
    for (const NewTopic& topic : topics) {
      char why[512];
      made.emplace_back(rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replicas,
                                              why, sizeof why));
      if (!made.back())
        co_return fail(Code::invalid_argument,
                       fmt::format("topic {} cannot be made: {}", topic.name, why));
      for (const auto& [name, value] : topic.configs)
        rd_kafka_NewTopic_set_config(made.back().get(), name.c_str(), value.c_str());
    }
    std::vector<rd_kafka_NewTopic_t*> all;
    for (const auto& one : made) all.push_back(one.get());
    const AdminOptions options = patience(RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline);
    rd_kafka_CreateTopics(client_->get(), all.data(), all.size(), options.get(), answers_.get());
    const Event event = co_await answer();
    if (rd_kafka_event_error(event.get()))
      co_return said(rd_kafka_event_error(event.get()), "topics cannot be made",
                     rd_kafka_event_error_string(event.get()));
    size_t count = 0;
    const auto* results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    for (size_t i = 0; i < count; ++i)
      if (const auto error = rd_kafka_topic_result_error(results[i]))
        co_return said(
            error, fmt::format("topic {} cannot be made", rd_kafka_topic_result_name(results[i])),
            rd_kafka_topic_result_error_string(results[i]));
    co_return Result<void>{};
  }

  Task<Result<void>> delete_topics(std::vector<std::string> names, env::Instant deadline) override {
    if (names.empty()) co_return Result<void>{};
    std::vector<std::unique_ptr<rd_kafka_DeleteTopic_t, DeleteTopicEnd>> made;
    std::vector<rd_kafka_DeleteTopic_t*> all;
    for (const std::string& name : names) {
      made.emplace_back(rd_kafka_DeleteTopic_new(name.c_str()));
      all.push_back(made.back().get());
    }
    const AdminOptions options = patience(RD_KAFKA_ADMIN_OP_DELETETOPICS, deadline);
    rd_kafka_DeleteTopics(client_->get(), all.data(), all.size(), options.get(), answers_.get());
    const Event event = co_await answer();
    if (rd_kafka_event_error(event.get()))
      co_return said(rd_kafka_event_error(event.get()), "topics cannot be deleted",
                     rd_kafka_event_error_string(event.get()));
    size_t count = 0;
    const auto* results = rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(event.get()), &count);
    for (size_t i = 0; i < count; ++i) {
      const auto error = rd_kafka_topic_result_error(results[i]);
      if (error && error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        co_return said(
            error,
            fmt::format("topic {} cannot be deleted", rd_kafka_topic_result_name(results[i])),
            rd_kafka_topic_result_error_string(results[i]));
    }
    co_return Result<void>{};
  }

  Task<Result<void>> wait_led(std::map<std::string, int32_t> partitions_by_topic,
                              env::Instant deadline) override {
    for (;;) {
      CO_TRY(const Cluster cluster, co_await look(deadline));
      const std::string lacking = not_led(cluster, partitions_by_topic);
      if (lacking.empty()) co_return Result<void>{};
      if (shard_.now() >= deadline)
        co_return fail(Code::timed_out, fmt::format("{} has no leader", lacking));
      co_await env::sleep_for(shard_, kPause);
    }
  }

 private:
  static constexpr size_t kEventsAtOnce = 100;

  static std::string not_led(const Cluster& cluster,
                             const std::map<std::string, int32_t>& partitions_by_topic) {
    for (const auto& [name, partitions] : partitions_by_topic) {
      const auto topic = std::ranges::find(cluster.topics, name, &Cluster::Topic::name);
      for (int32_t partition = 0; partition < partitions; ++partition) {
        const auto at = static_cast<size_t>(partition);
        if (topic == cluster.topics.end() || at >= topic->leaders.size() || topic->leaders[at] < 0)
          return fmt::format("{}-{}", name, partition);
      }
    }
    return "";
  }

  AdminOptions patience(rd_kafka_admin_op_t of, env::Instant deadline) {
    AdminOptions options(rd_kafka_AdminOptions_new(client_->get(), of));
    using std::chrono::milliseconds;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - shard_.now()).count();
    const int ms = static_cast<int>(std::clamp<int64_t>(left, 1, 3'600'000));
    char ignored[256];
    rd_kafka_AdminOptions_set_request_timeout(options.get(), ms, ignored, sizeof ignored);
    // Until all brokers know of it, as far as the cluster tells.
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), ms, ignored, sizeof ignored);
    return options;
  }

  // The library answers by its deadline, whatever happens.
  Task<Event> answer() {
    for (;;) {
      client_->poll(kEventsAtOnce);
      if (rd_kafka_event_t* event = rd_kafka_queue_poll(answers_.get(), 0)) co_return Event(event);
      co_await env::sleep_for(shard_, std::chrono::milliseconds(2));
    }
  }

  env::Shard& shard_;
  std::string last_error_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<rd_kafka_queue_t, QueueEnd> answers_;
};

}  // namespace

Result<std::unique_ptr<Admin>> Admin::make(env::Shard& shard, const std::string& bootstrap,
                                           const std::map<std::string, std::string>& settings) {
  auto admin = std::make_unique<LibraryAdmin>(shard);
  TRY_VOID(admin->start(admin_settings(bootstrap, settings)));
  return std::unique_ptr<Admin>(std::move(admin));
}

}  // namespace paceline::probe
