#include "probe/transfer.h"

namespace paceline::probe {
namespace {

using Outcome = Transfers::Outcome;

constexpr int kTransfersOfOneTurn = 50;
// All that is due by then: however long a transaction takes, the next one makes up for it.
constexpr int kTransfersOfOneTransaction = 5'000;
constexpr uint64_t kAmountMax = 1'000;
constexpr int kPatienceMs = 2'000;

// What is to be done about what the library says of a transaction.
Outcome outcome_of(rd_kafka_error_t* error) {
  if (!error) return Outcome::done;
  Outcome outcome = Outcome::over;
  if (!rd_kafka_error_is_fatal(error)) {
    if (rd_kafka_error_txn_requires_abort(error)) outcome = Outcome::abort;
    if (rd_kafka_error_is_retriable(error)) outcome = Outcome::again;
  }
  rd_kafka_error_destroy(error);
  return outcome;
}

// One call beside the shard, which takes a while; the library goes on with it in the next one.
Task<Outcome> call_once(env::Shard& shard, std::shared_ptr<rd_kafka_t> rk,
                        Transfers::LibraryCall call) {
  co_return co_await env::offload(shard, [rk = std::move(rk), call]() mutable {
    const Outcome outcome = outcome_of(call(rk.get(), kPatienceMs));
    rk.reset();  // the last one waits for the library's threads: here it may
    return outcome;
  });
}

}  // namespace

Transfers::Transfers(Stage& stage, std::vector<Part> parts, Sender::Role role, TransferBook& book,
                     int64_t start_ns, int64_t interval_ns)
    : stage_(stage),
      parts_(std::move(parts)),
      transactional_(role.transactional),
      schedule_(start_ns, interval_ns),
      sender_(stage, std::move(role), [&book](const evidence::LedgerRow& row) { book.wrote(row); }),
      random_(stage.options.seed ^ 0x7472616e73666572) {
  CHECK(!parts_.empty());
}

Transfers::~Transfers() {
  stop();
}

Result<void> Transfers::start() {
  return sender_.start();
}

void Transfers::stop() {
  end_life();
  sender_.stop();
}

void Transfers::end_life() {
  if (life_) life_->over = true;
  life_.reset();
  // A transfer that is half sent is completed by the next life, unless it was void.
  if (transactional_) due_.reset();
}

void Transfers::turn() {
  sender_.poll();
  if (!sender_.alive()) {
    end_life();
    return;
  }
  if (!transactional_) {
    for (int i = 0; i < kTransfersOfOneTurn && send_due(); ++i) {
    }
  } else if (!life_) {
    life_ = std::make_shared<Life>();
    stage_.shard.spawn(run_transactions(this, life_));
  }
}

// The legs of one transfer: both, or the rest of them later.
bool Transfers::send_due() {
  if (!due_) {
    if (!schedule_.due(stage_.teller.now_ns())) return false;
    const uint64_t accounts = std::max(2u, stage_.options.accounts);
    const uint64_t from = random_.below(accounts);
    const uint64_t to = (from + 1 + random_.below(accounts - 1)) % accounts;
    due_ = Due{.from = static_cast<uint32_t>(from),
               .to = static_cast<uint32_t>(to),
               .amount = static_cast<int64_t>(random_.between(1, kAmountMax))};
  }
  if (!due_->paid && !send_leg(due_->from, -due_->amount)) return false;
  due_->paid = true;
  if (!send_leg(due_->to, due_->amount)) return false;
  due_.reset();
  schedule_.advance();
  return true;
}

bool Transfers::send_leg(uint32_t account, int64_t amount) {
  // The order of one account's records is the order of its transfers.
  const auto [topic, partition] = parts_[account % parts_.size()];
  return sender_.send({.topic = topic,
                       .partition = partition,
                       .intended_ns = schedule_.next_ns(),
                       .key = account,
                       .amount = amount});
}

// Until the library says what came of it.
Task<Outcome> Transfers::settled(Transfers* self, std::shared_ptr<Life> life, LibraryCall call) {
  env::Shard& shard = self->stage_.shard;
  Outcome outcome = Outcome::again;
  while (outcome == Outcome::again) {
    outcome = co_await call_once(shard, self->sender_.client().share(), call);
    if (life->over) co_return Outcome::over;
    self->sender_.poll();
    if (!self->sender_.alive()) co_return Outcome::over;
  }
  co_return outcome;
}

Task<void> Transfers::run_transactions(Transfers* self, std::shared_ptr<Life> life) {
  env::Shard& shard = self->stage_.shard;
  bool goes_on = co_await settled(self, life, rd_kafka_init_transactions) == Outcome::done;
  while (!life->over && goes_on) {
    if (self->due_ || self->schedule_.due(self->stage_.teller.now_ns())) {
      goes_on = co_await run_one(self, life);
    } else {
      co_await env::sleep_for(shard, std::chrono::milliseconds(1));
    }
  }
  if (!life->over) self->sender_.give_up();
}

Task<bool> Transfers::run_one(Transfers* self, std::shared_ptr<Life> life) {
  if (outcome_of(rd_kafka_begin_transaction(self->sender_.client().get())) != Outcome::done)
    co_return false;
  for (int i = 0; i < kTransfersOfOneTransaction && self->send_due(); ++i) {
  }
  // Without its other leg, a transfer and all that is with it is void.
  const bool whole = !self->due_ || !self->due_->paid;
  Outcome outcome = Outcome::abort;
  if (whole) outcome = co_await settled(self, life, rd_kafka_commit_transaction);
  if (outcome == Outcome::over) co_return false;
  if (outcome == Outcome::done) {
    self->sender_.settle(evidence::LedgerRow::Kind::acked);
    co_return true;
  }
  if (!whole) {
    self->due_.reset();
    self->schedule_.advance();
  }
  if (co_await settled(self, life, rd_kafka_abort_transaction) != Outcome::done) co_return false;
  self->sender_.settle(evidence::LedgerRow::Kind::failed);
  co_return true;
}

std::optional<int64_t> Transfers::waits_since_ns() const {
  const auto oldest = sender_.oldest_ns();
  return oldest ? oldest : schedule_.due(stage_.teller.now_ns());
}

}  // namespace paceline::probe
