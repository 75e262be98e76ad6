#include "probe/producer.h"

#include <algorithm>

#include "env/random.h"

namespace paceline::probe {
namespace {

// After a pause of ours, what is due is sent over some turns.
constexpr int kSendsOfOneTurn = 100;

}  // namespace

std::vector<Part> parts_of(const Options& options, std::string_view role) {
  std::vector<Part> parts;
  for (size_t topic = 0; topic < options.topics.size(); ++topic) {
    if (options.topics[topic].role != role) continue;
    for (int32_t partition = 0; partition < options.topics[topic].partitions; ++partition)
      parts.emplace_back(static_cast<uint16_t>(topic), partition);
  }
  return parts;
}

std::vector<Part> share_of(std::vector<Part> parts, uint64_t seed, size_t which, size_t of) {
  env::Random random(seed);
  for (size_t left = parts.size(); left > 1; --left)
    std::swap(parts[left - 1], parts[random.below(left)]);
  std::vector<Part> share;
  for (size_t at = which; at < parts.size(); at += of) share.push_back(parts[at]);
  return share;
}

Producer::Producer(Stage& stage, Sender::Role role, std::vector<Part> parts, int64_t start_ns,
                   int64_t interval_ns, Sender::Hear hear)
    : stage_(stage),
      parts_(std::move(parts)),
      schedule_(start_ns, interval_ns),
      sender_(stage, std::move(role), std::move(hear)) {
  CHECK(!parts_.empty());
}

void Producer::turn() {
  sender_.poll();
  for (int sent = 0; sent < kSendsOfOneTurn; ++sent) {
    const auto intended = schedule_.due(stage_.teller.now_ns());
    if (!intended) return;
    const auto [topic, partition] = parts_[next_part_ % parts_.size()];
    if (!sender_.send({.topic = topic, .partition = partition, .intended_ns = *intended})) return;
    schedule_.advance();
    ++next_part_;
  }
}

std::optional<int64_t> Producer::waits_since_ns() const {
  const auto oldest = sender_.oldest_ns();
  return oldest ? oldest : schedule_.due(stage_.teller.now_ns());
}

}  // namespace paceline::probe
