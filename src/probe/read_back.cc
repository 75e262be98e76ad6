#include "probe/read_back.h"

#include <fmt/format.h>

#include "probe/client.h"
#include "probe/reading.h"

namespace paceline::probe {
namespace {

constexpr size_t kRecordsOfOneTurn = 2'000;
constexpr int kPatienceMs = 5'000;
constexpr env::Duration kPause = std::chrono::milliseconds(200);

using Ends = std::map<Part, int64_t>;

struct Asked {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::vector<int64_t> offsets;  // in the order of what was asked; negative: that one failed
};

// Beside the shard: the library waits for the brokers.
Task<Asked> ask_ends(Stage& stage, std::shared_ptr<rd_kafka_t> rk, std::vector<Part> parts) {
  std::vector<std::pair<std::string, int32_t>> names;
  for (const Part& part : parts)
    names.emplace_back(stage.options.topics[part.first].name, part.second);
  co_return co_await env::offload(
      stage.shard, [rk = std::move(rk), names = std::move(names)]() mutable {
        Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(names.size())));
        for (const auto& [topic, partition] : names)
          rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset =
              RD_KAFKA_OFFSET_END;
        Asked asked;
        asked.error = rd_kafka_offsets_for_times(rk.get(), list.get(), kPatienceMs);
        for (int i = 0; i < list->cnt; ++i)
          asked.offsets.push_back(list->elems[i].err ? -1 : list->elems[i].offset);
        rk.reset();  // the last one waits for the library's threads: here it may
        return asked;
      });
}

Task<Result<Ends>> ends_of(Stage& stage, Client& client, const std::set<std::string>& gone,
                           env::Instant deadline) {
  std::vector<Part> parts;
  for (size_t i = 0; i < stage.options.topics.size(); ++i) {
    const auto& topic = stage.options.topics[i];
    if (gone.contains(topic.name)) continue;
    for (int32_t partition = 0; partition < topic.partitions; ++partition)
      parts.emplace_back(static_cast<uint16_t>(i), partition);
  }
  Ends ends;
  std::string why;
  while (!parts.empty()) {
    const auto asked = co_await ask_ends(stage, client.share(), parts);
    why = rd_kafka_err2str(asked.error);
    std::vector<Part> left;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (asked.error == RD_KAFKA_RESP_ERR_NO_ERROR && asked.offsets[i] >= 0)
        ends[parts[i]] = asked.offsets[i];
      else
        left.push_back(parts[i]);
    }
    parts = std::move(left);
    if (parts.empty()) break;
    if (stage.shard.now() >= deadline)
      co_return fail(Code::timed_out, fmt::format("nobody tells where {}-{} ends: {}",
                                                  stage.options.topics[parts.front().first].name,
                                                  parts.front().second, why));
    co_await env::sleep_for(stage.shard, kPause);
  }
  co_return ends;
}

// What is read of which; shared with the client's ears.
struct Reading {
  Stage& stage;
  uint16_t reader = 0;
  Ends ends;  // of what is not read to its end
  Ends next;

  void record(const rd_kafka_message_t& message) {
    const bool at_end = message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (message.err && !at_end) {
      stage.complain("probe", stage.roster.name(reader), rd_kafka_err2name(message.err),
                     rd_kafka_message_errstr(&message), false);
      return;
    }
    const auto found = found_in(message, stage.options.topics);
    if (!found) return;
    const Part part{found->topic, found->partition};
    const auto end = ends.find(part);
    if (end == ends.end()) return;
    next[part] = found->offset + (at_end ? 0 : 1);
    if (!at_end && found->offset < end->second)
      if (const auto row =
              row_of(*found, stage.options.run_id, evidence::LedgerRow::Kind::read_back, reader,
                     stage.teller.now_ns()))
        stage.row(*row);
    if (next[part] >= end->second) ends.erase(end);
  }
};

Result<void> assign(Stage& stage, Client& client, const Ends& ends) {
  Partitions list(rd_kafka_topic_partition_list_new(static_cast<int>(ends.size())));
  for (const auto& [part, end] : ends)
    rd_kafka_topic_partition_list_add(list.get(), stage.options.topics[part.first].name.c_str(),
                                      part.second)
        ->offset = RD_KAFKA_OFFSET_BEGINNING;
  const auto error = rd_kafka_assign(client.get(), list.get());
  if (error)
    return fail(Code::unavailable,
                fmt::format("the partitions cannot be assigned: {}", rd_kafka_err2str(error)));
  return {};
}

}  // namespace

Task<Result<void>> read_all_back(Stage& stage, std::set<std::string> gone, env::Instant deadline) {
  if (stage.roster.full()) co_return fail(Code::unavailable, "there have been too many clients");
  const std::string name = "read-back";
  auto reading = std::make_shared<Reading>(Reading{stage, 0, {}, {}});
  CO_TRY(auto client,
         Client::make(stage.shard, Client::Kind::consumer,
                      reader_to_the_end_settings(stage.options, name),
                      {.error =
                           [reading](rd_kafka_resp_err_t code, const char* text, bool fatal) {
                             Stage& on = reading->stage;
                             on.complain("probe", on.roster.name(reading->reader),
                                         rd_kafka_err2name(code), text, fatal);
                           },
                       .record = [reading](const rd_kafka_message_t& m) { reading->record(m); }}));
  reading->reader = stage.roster.add({.name = name,
                                      .kind = "consumer",
                                      .library = "librdkafka",
                                      .version = librdkafka_version(),
                                      .zone = stage.options.zone,
                                      .group = "",
                                      .topic = "",
                                      .idempotent = false,
                                      .transactional = false,
                                      .acks = ""});
  auto ends = co_await ends_of(stage, *client, gone, deadline);
  const size_t all = ends ? ends->size() : 0;
  Result<void> outcome;
  if (!ends) {
    outcome = fail(ends.error());
  } else {
    reading->ends = std::move(*ends);
    std::erase_if(reading->ends, [](const auto& one) { return one.second == 0; });
    outcome = assign(stage, *client, reading->ends);
  }
  while (outcome && !reading->ends.empty() && stage.shard.now() < deadline)
    if (client->poll(kRecordsOfOneTurn) < kRecordsOfOneTurn)
      co_await env::sleep_for(stage.shard, std::chrono::milliseconds(1));
    else
      co_await env::yield(stage.shard);
  client.reset();
  stage.roster.ended(reading->reader);
  if (outcome && !reading->ends.empty()) {
    const auto& [part, end] = *reading->ends.begin();
    outcome = fail(Code::timed_out,
                   fmt::format("{} of {} partitions are not read to their end; {}-{} to {} of {}",
                               reading->ends.size(), all, stage.options.topics[part.first].name,
                               part.second, reading->next[part], end));
  }
  co_return outcome;
}

}  // namespace paceline::probe
