#include "probe/sender.h"

#include <fmt/format.h>

#include <cstdint>

namespace paceline::probe {
namespace {

using Kind = evidence::LedgerRow::Kind;
constexpr size_t kAnswersOfOneTurn = 2'000;
// The library's own limit is 100,000; ours is met first, so that memory is known.
constexpr size_t kUnansweredMax = 50'000;
constexpr env::Duration kRevival = std::chrono::seconds(1);

}  // namespace

Outbox::Answer answer_of(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status, int64_t offset,
                         int32_t broker) {
  Outbox::Answer answer{.broker = broker, .error = error};
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    answer.kind = Kind::acked;
    answer.offset = offset;
  } else if (status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
    answer.kind = Kind::failed;
  }
  return answer;
}

Sender::Sender(Stage& stage, Role role, Hear hear)
    : stage_(stage), role_(std::move(role)), hear_(std::move(hear)) {}

Result<void> Sender::start() {
  CHECK(!alive());
  if (stage_.roster.full()) return fail(Code::unavailable, "there have been too many clients");
  TRY(client_, Client::make(stage_.shard, Client::Kind::producer, role_.settings,
                            {.error = [this](rd_kafka_resp_err_t code, const char* text,
                                             bool fatal) { error(code, text, fatal); },
                             .delivered = [this](const rd_kafka_message_t& m) { delivered(m); }}));
  index_ = stage_.roster.add({.name = role_.name,
                              .kind = role_.kind,
                              .library = "librdkafka",
                              .version = librdkafka_version(),
                              .zone = stage_.options.zone,
                              .group = "",
                              .topic = role_.topic,
                              .idempotent = is_idempotent(role_.settings),
                              .transactional = role_.transactional,
                              .acks = acks_of(role_.settings)});
  outbox_.emplace(index_);
  acknowledged_ = dead_ = false;
  revival_.reset();
  return {};
}

void Sender::stop() {
  end(true);
}

void Sender::end(bool by_us) {
  revival_.reset();
  if (!alive()) return;
  client_.reset();
  auto left = std::exchange(held_, {});
  for (const auto& row : outbox_->abandon(stage_.teller.now_ns())) left.push_back(row);
  for (auto& row : left) {
    row.kind = Kind::unknown;
    row.offset = -1;
    row.at_ns = stage_.teller.now_ns();
    by_us ? stage_.row_given_up(row) : stage_.row(row);
    hear_(row);
  }
  outbox_.reset();
  stage_.roster.ended(index_);
}

void Sender::poll() {
  if (revival_ && stage_.shard.now() >= *revival_) {
    // What the library took once it takes again; if not, there is nothing to do but to try on.
    if (!start()) revival_ = stage_.shard.now() + kRevival;
  }
  if (!alive()) return;
  client_->poll(kAnswersOfOneTurn);
  if (!dead_) return;
  end(false);
  revival_ = stage_.shard.now() + kRevival;
}

bool Sender::send(const Outbox::Record& record) {
  if (!alive() || dead_ || outbox_->unanswered() + held_.size() >= kUnansweredMax) return false;
  const auto row = outbox_->next(record, stage_.teller.now_ns());
  const std::string value = evidence::encode_payload({.run_id = stage_.options.run_id,
                                                      .client = row.client,
                                                      .partition = row.partition,
                                                      .seq = row.seq,
                                                      .key = row.key,
                                                      .amount = row.amount,
                                                      .intended_ns = row.intended_ns},
                                                     stage_.options.value_bytes);
  const std::string key = fmt::format("{}", record.key);
  const bool keyed = record.amount != 0;
  const uint64_t number = outbox_->next_number();
  const auto why =
      client_->produce({.topic = stage_.options.topics[record.topic].name,
                        .partition = record.partition,
                        .value = value,
                        .key = keyed ? std::optional<std::string_view>(key) : std::nullopt,
                        .number = number});
  if (why == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
  if (why == RD_KAFKA_RESP_ERR__STATE) return false;  // no transaction is open
  outbox_->sent(row);
  told(row);
  if (why == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  const auto failed = outbox_->answered(number, {.kind = Kind::failed, .error = why}, row.at_ns);
  told(*failed);
  if (why == RD_KAFKA_RESP_ERR__FATAL) dead_ = true;
  return true;
}

void Sender::delivered(const rd_kafka_message_t& message) {
  const auto number = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(message._private));
  const auto row =
      outbox_->answered(number,
                        answer_of(message.err, rd_kafka_message_status(&message), message.offset,
                                  rd_kafka_message_broker_id(&message)),
                        stage_.teller.now_ns());
  if (!row) return;
  if (role_.transactional && row->kind != Kind::failed) {
    held_.push_back(*row);
  } else {
    told(*row);
  }
}

void Sender::settle(Kind kind) {
  for (auto& row : std::exchange(held_, {})) {
    // What the library does not know of is not made certain by a commit.
    if (kind != Kind::acked || row.kind == Kind::acked) row.kind = kind;
    row.at_ns = stage_.teller.now_ns();
    if (row.kind != Kind::acked) row.offset = -1;
    told(row);
  }
}

void Sender::told(const evidence::LedgerRow& row) {
  if (row.kind == Kind::acked) acknowledged_ = true;
  stage_.row(row);
  hear_(row);
}

void Sender::error(rd_kafka_resp_err_t code, const char* text, bool fatal) {
  std::string words = text;
  if (fatal) {
    dead_ = true;
    char why[512];
    code = rd_kafka_fatal_error(client_->get(), why, sizeof why);
    words = why;
  }
  stage_.complain("probe", stage_.roster.name(index_), rd_kafka_err2name(code), words, fatal);
}

size_t Sender::unanswered() const {
  return outbox_ ? outbox_->unanswered() + held_.size() : 0;
}

std::optional<int64_t> Sender::oldest_ns() const {
  if (!held_.empty()) return held_.front().intended_ns;
  return outbox_ ? outbox_->oldest_ns() : std::nullopt;
}

}  // namespace paceline::probe
