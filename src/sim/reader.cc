#include "protocol/gen/fetch.h"
#include "record/kafka_error.h"
#include "sim/router.h"

namespace paceline::sim {

using namespace std::chrono_literals;
using record::KafkaError;

namespace {

// The records of an answer at or after `from`. Says what is wrong with its bytes, if anything.
std::optional<std::string> read_records(const std::vector<Slice>& slices, int64_t from,
                                        Poll& poll) {
  std::string bytes;
  for (const Slice& slice : slices) bytes += as_text(slice.bytes());
  record::BatchCursor cursor(as_bytes(bytes));
  for (;;) {
    auto batch = cursor.next();
    // The last batch may be cut short by the client's bound.
    if (!batch && batch.error().code == Code::out_of_range) return std::nullopt;
    if (!batch) return batch.error().message;
    if (!*batch) return std::nullopt;
    if (!(*batch)->crc_ok())
      return fmt::format("the batch at {} has a wrong checksum", (*batch)->base_offset().value);
    auto reader = record::RecordReader::open(**batch);
    if (!reader) return reader.error().message;
    for (;;) {
      auto next = reader->next();
      if (!next) return next.error().message;
      if (!*next) break;
      const int64_t offset = (*next)->offset.value;
      if (offset < from) continue;  // the head of a batch that was asked for in its middle
      auto value = parse_value((*next)->value.value_or(""));
      if (!value) return fmt::format("the record at {} is not what anybody sent", offset);
      poll.add(offset, *value, (*batch)->partition_leader_epoch().value);
    }
  }
}

}  // namespace

Task<std::optional<FetchAnswer>> fetch_once(Clients& clients, Router& router, FetchPlan plan) {
  protocol::FetchRequest request;
  request.max_wait_ms = plan.wait_ms;
  request.min_bytes = 1;
  request.max_bytes = plan.bytes_max;
  auto& topic = request.topics.emplace_back();
  topic.topic = clients.topic;
  auto& wanted = topic.partitions.emplace_back();
  wanted.partition = static_cast<int32_t>(plan.key);
  wanted.fetch_offset = plan.from;
  wanted.partition_max_bytes = plan.bytes_max;
  const int16_t version = clients.cluster() || clients.random.chance(0.5) ? 12 : 6;

  Link* link = co_await router.leader(plan.key);
  if (!link) co_return std::nullopt;
  // One broker keeps its epoch for as long as it is told nothing else; of several each client names
  // the one it knows, so that whoever answers leads in it.
  const int32_t epoch = clients.cluster() ? router.epoch(plan.key) : -1;
  wanted.current_leader_epoch = epoch;
  const history::Time asked = clients.now();
  auto answer = co_await link->current()->call<protocol::FetchResponse>(version, request);
  if (!answer) {
    if (answer.error().code == Code::corrupt) clients.violation(plan.key, answer.error().message);
    link->drop();
    router.doubt(plan.key);
    co_return std::nullopt;
  }
  if (answer->responses.empty() || answer->responses.front().partitions.empty()) {
    clients.violation(plan.key, "a fetch was answered without its partition");
    co_return std::nullopt;
  }
  const auto& got = answer->responses.front().partitions.front();
  const auto error = static_cast<KafkaError>(got.error_code);
  if (error == KafkaError::offset_out_of_range)
    clients.violation(plan.key,
                      fmt::format("offset {} is out of range, yet a reader was there", plan.from));
  if (error != KafkaError::none) {
    router.doubt(plan.key);
    clients.last_error = fmt::format("fetch of partition {} from {}: error {}{}", plan.key,
                                     plan.from, got.error_code, clients.told_by(*link));
    co_return std::nullopt;
  }
  Poll poll;
  poll.reader = plan.reader;
  poll.group = plan.group;
  poll.key = plan.key;
  poll.from = plan.from;
  poll.epoch = epoch;
  poll.by = link->teller();
  if (!link->to_former()) {
    poll.high_watermark = got.high_watermark;
    poll.log_start = got.log_start_offset;
  }
  poll.last = plan.last;
  if (auto wrong = read_records(got.records, plan.from, poll)) clients.violation(plan.key, *wrong);
  FetchAnswer result{plan.from, got.high_watermark, got.log_start_offset};
  if (!poll.seen.empty()) result.next = poll.seen.back().end();
  if (result.next > got.high_watermark)
    clients.violation(plan.key, fmt::format("offset {} was given with a high watermark of {}",
                                            result.next - 1, got.high_watermark));
  clients.history.add(std::move(poll), asked, clients.now());
  co_return result;
}

Task<void> run_reader(Clients& clients, Key key) {
  Router router(clients, 3s);
  FetchPlan plan;
  plan.reader = clients.next_client++;
  plan.key = key;
  int64_t read_up_to = 0;
  for (;;) {
    plan.bytes_max = static_cast<int32_t>(1) << clients.random.between(6, 20);
    plan.wait_ms = static_cast<int32_t>(clients.random.below(500));
    auto answer = co_await fetch_once(clients, router, plan);
    if (!answer) {
      co_await env::sleep_for(clients.shard, clients.between(5ms, 50ms));
      continue;
    }
    plan.from = answer->next;
    read_up_to = std::max(read_up_to, plan.from);
    if (clients.random.chance(0.03))
      plan.from = static_cast<int64_t>(clients.random.below(static_cast<uint64_t>(read_up_to) + 1));
    co_await env::sleep_for(clients.shard, clients.between(1ms, 40ms));
  }
}

namespace {

Task<void> poll_to_the_end(Clients& clients, FetchPlan plan, env::Gate::Pass) {
  // What is read from the start on lies in many small objects: more patience, and smaller bites.
  plan.bytes_max = 128 << 10;
  Router router(clients);
  co_await router.ask_all();
  for (;;) {
    auto answer = co_await fetch_once(clients, router, plan);
    if (!answer) {
      co_await env::sleep_for(clients.shard, 20ms);
      continue;
    }
    if (answer->next > plan.from) ++clients.final_answers;
    plan.from = answer->next;
    if (plan.from >= answer->high_watermark) co_return;
  }
}

}  // namespace

Task<void> run_final_polls(Clients& clients, bool& done) {
  env::Gate running(clients.shard);
  FetchPlan plan;
  plan.wait_ms = 0;
  plan.last = true;
  for (plan.key = 0; plan.key < clients.partition_count; ++plan.key) {
    plan.reader = clients.next_client++;
    clients.shard.spawn(poll_to_the_end(clients, plan, running.enter()));
  }
  co_await running.wait_empty();
  done = true;
}

}  // namespace paceline::sim
