#include "probe/consumer.h"

#include <fmt/format.h>

#include <set>

namespace paceline::probe {
namespace {

constexpr size_t kRecordsOfOneTurn = 500;
constexpr env::Duration kRevival = std::chrono::seconds(1);

}  // namespace

Consumer::Consumer(Stage& stage, Role role, Hear hear)
    : stage_(stage), role_(std::move(role)), hear_(std::move(hear)) {}

Result<void> Consumer::start() {
  CHECK(!alive());
  if (stage_.roster.full()) return fail(Code::unavailable, "there have been too many clients");
  Client::Ears ears{.error = [this](rd_kafka_resp_err_t code, const char* text,
                                    bool fatal) { error(code, text, fatal); },
                    .record = [this](const rd_kafka_message_t& message) { record(message); }};
  if (!role_.group.empty())
    ears.rebalance = [this](rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) {
      rebalance(what, partitions);
    };
  TRY(client_, Client::make(stage_.shard, Client::Kind::consumer, role_.settings, std::move(ears)));
  index_ = stage_.roster.add({.name = role_.name,
                              .kind = role_.kind,
                              .library = "librdkafka",
                              .version = librdkafka_version(),
                              .zone = stage_.options.zone,
                              .group = role_.group,
                              .topic = "",
                              .idempotent = false,
                              .transactional = false,
                              .acks = ""});
  at_work_ = leaving_ = dead_ = false;
  revival_.reset();
  return role_.group.empty() ? assign() : subscribe();
}

Result<void> Consumer::assign() {
  Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(role_.parts.size())));
  for (const Part& part : role_.parts) {
    auto* one = rd_kafka_topic_partition_list_add(
        list.get(), stage_.options.topics[part.first].name.c_str(), part.second);
    const auto position = positions_.find(part);
    one->offset = position == positions_.end() ? RD_KAFKA_OFFSET_BEGINNING : position->second;
  }
  const auto error = rd_kafka_assign(client_->get(), list.get());
  if (error)
    return fail(Code::unavailable, fmt::format("{} cannot assign its partitions: {}", role_.name,
                                               rd_kafka_err2str(error)));
  return {};
}

Result<void> Consumer::subscribe() {
  std::set<uint16_t> topics;
  for (const Part& part : role_.parts) topics.insert(part.first);
  Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const uint16_t topic : topics)
    rd_kafka_topic_partition_list_add(list.get(), stage_.options.topics[topic].name.c_str(),
                                      RD_KAFKA_PARTITION_UA);
  const auto error = rd_kafka_subscribe(client_->get(), list.get());
  if (error)
    return fail(Code::unavailable,
                fmt::format("{} cannot subscribe: {}", role_.name, rd_kafka_err2str(error)));
  return {};
}

void Consumer::stop() {
  revival_.reset();
  if (!alive()) return;
  client_.reset();
  stage_.roster.ended(index_);
}

void Consumer::leave() {
  revival_.reset();
  if (!alive()) return;
  if (role_.group.empty()) return stop();
  leaving_ = true;
  client_->begin_close();
}

void Consumer::poll() {
  if (revival_ && stage_.shard.now() >= *revival_) {
    if (!start()) {
      stop();
      revival_ = stage_.shard.now() + kRevival;
    }
  }
  if (!alive()) return;
  client_->poll(kRecordsOfOneTurn);
  if (leaving_ && client_->closed()) return stop();
  if (!dead_) return;
  stop();
  revival_ = stage_.shard.now() + kRevival;
}

void Consumer::record(const rd_kafka_message_t& message) {
  if (message.err) {
    error(message.err, rd_kafka_message_errstr(&message), false);
    return;
  }
  const auto found = found_in(message, stage_.options.topics);
  if (!found) return;
  const Part part{found->topic, found->partition};
  positions_[part] = found->offset + 1;
  stage_.lag.read(role_.reader(), part, found->offset);
  at_work_ = true;
  const auto row = row_of(*found, stage_.options.run_id, evidence::LedgerRow::Kind::read, index_,
                          stage_.teller.now_ns());
  if (!row) return;
  stage_.row(*row);
  hear_(*row);
}

void Consumer::rebalance(rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) {
  const bool cooperative =
      std::string_view(rd_kafka_rebalance_protocol(client_->get())) == "COOPERATIVE";
  const bool assigned = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  const bool lost = !assigned && rd_kafka_assignment_lost(client_->get());
  rd_kafka_error_t* refused = nullptr;
  if (cooperative) {
    refused = assigned ? rd_kafka_incremental_assign(client_->get(), partitions)
                       : rd_kafka_incremental_unassign(client_->get(), partitions);
  } else if (const auto code = rd_kafka_assign(client_->get(), assigned ? partitions : nullptr)) {
    error(code, rd_kafka_err2str(code), false);
  }
  if (assigned && (!partitions || partitions->cnt == 0)) at_work_ = true;
  if (refused) {
    error(rd_kafka_error_code(refused), rd_kafka_error_string(refused), false);
    rd_kafka_error_destroy(refused);
  }
  auto event = stage_.teller.now("probe", "client", "group.rebalanced");
  event.client_id = stage_.roster.name(index_);
  event.figures = {{"group", role_.group},
                   {"member", stage_.roster.name(index_)},
                   {"event", assigned ? "assigned"
                             : lost   ? "lost"
                                      : "revoked"},
                   {"partitions", int64_t{partitions ? partitions->cnt : 0}}};
  stage_.teller.event(std::move(event));
}

void Consumer::error(rd_kafka_resp_err_t code, const std::string& text, bool fatal) {
  if (fatal) dead_ = true;
  stage_.complain("probe", stage_.roster.name(index_), rd_kafka_err2name(code), text, fatal);
}

}  // namespace paceline::probe
