#include "broker/api.h"
#include "broker/forward.h"
#include "broker/leader_hints.h"
#include "broker/lookup.h"
#include "broker/nearby.h"
#include "protocol/gen/fetch.h"

namespace paceline::broker {
namespace {

struct Read {
  Uuid topic_id;
  int32_t index = 0;
  partition::FetchRequest what;
  KafkaError error = KafkaError::none;
  partition::Fetched fetched;
  bool led_here = true;                 // as the image says, which may lag behind
  std::optional<Relay::Target> leader;  // another broker, as its shard says
  bool elsewhere = false;               // it was read from there
  bool again = false;                   // it has just moved
  bool nearby = false;                  // another broker leads it, and the client is of our rack
  std::optional<BrokerId> sent_to;      // a broker of the client's rack

  StreamId stream() const { return {topic_id, static_cast<uint32_t>(index)}; }
};

struct FetchState {
  std::vector<Read> reads;
  size_t bytes = 0;
  AnswerMemory::Hold held;  // for `bytes`
  bool failed = false;
  bool sent = false;           // somewhere else, which they are to hear of at once
  bool too_big = false;        // there is data, and no memory to answer with it
  std::string_view rack = {};  // the client's, if it can be sent to a broker of it
  std::shared_ptr<const cluster::Image> image = {};

  // Of our rack: it may read here what others lead.
  bool is_near(const Node& node) const {
    return !rack.empty() && rack == node.settings().rack && node.settings().near_reads;
  }
};

// What is here, or was lately: the partition's shard knows.
Task<void> read_on(Node* node, ShardHost* host, FetchState* state, size_t bytes_max, bool full) {
  const Lane own = node->cluster().lane();
  // Read one after the other, brought from the store side by side.
  if (state->reads.size() > 1)
    for (const Read& read : state->reads) {
      if (Hosted* hosted = host->find(read.topic_id, read.index))
        hosted->partition->expect(read.what.from);
    }
  for (Read& read : state->reads) {
    if (read.error != KafkaError::none || &node->home_of(read.topic_id, read.index) != host)
      continue;
    const Relay* relay = host->find_relay(read.stream());
    if (relay && relay->target().lane != own) {
      read.leader = relay->target();
      continue;
    }
    Hosted* hosted = host->find(read.topic_id, read.index);
    if (!hosted && !read.led_here && state->is_near(*node)) {
      read.nearby = true;
      continue;
    }
    if (!hosted) {
      // Also of what is led here and not open yet: Kafka's Java consumer hands anything it does not
      // know in a fetch to its application, LEADER_NOT_AVAILABLE too.
      read.error = KafkaError::not_leader_or_follower;
      continue;
    }
    if (read.what.from < hosted->partition->settled() &&
        read.what.from >= hosted->partition->log_start())
      read.sent_to = reader_in_rack(*node, *state->image, state->rack, read.stream());
    if (read.sent_to) {
      read.fetched.high_watermark = hosted->partition->high_watermark();
      read.fetched.last_stable_offset = read.fetched.high_watermark;
      read.fetched.log_start = hosted->partition->log_start();
      continue;
    }
    partition::FetchRequest what = read.what;
    // A client that has not heard of our own earlier terms is not wrong.
    if (relay && what.expected_epoch < hosted->partition->epoch()) what.expected_epoch = Epoch(-1);
    const size_t left = bytes_max > state->bytes ? bytes_max - state->bytes : 0;
    what.bytes_max = std::min(what.bytes_max, left);
    what.at_least_one = state->bytes == 0 && !full;
    const bool first = hosted->awaits_client();
    auto fetched = co_await hosted->partition->fetch(what);
    if (fetched) {
      if (first) host->tell_client(read.stream(), "fetch");
      state->bytes += fetched->bytes;
      host->note_read(read.stream(), fetched->bytes);
      read.fetched = std::move(*fetched);
      continue;
    }
    relay = host->find_relay(read.stream());
    read.again = relay && relay->target().lane != own;
    if (!read.again) read.error = fetched.error().code;
  }
}

// The rest, from its leaders. What has moved on meanwhile is left for another round.
Task<void> read_elsewhere(Request& request, FetchState& state, size_t bytes_max, bool full) {
  std::vector<RemoteRead> remote;
  std::vector<Read*> of;
  for (Read& read : state.reads) {
    if (read.error != KafkaError::none || !read.leader) continue;
    remote.push_back({*read.leader, read.stream(), read.what, {}});
    of.push_back(&read);
  }
  if (remote.empty()) co_return;
  const size_t left = bytes_max > state.bytes ? bytes_max - state.bytes : 0;
  std::vector<RemoteRead*> asked;
  for (RemoteRead& one : remote) asked.push_back(&one);
  const bool read_committed = !asked.empty() && asked.front()->what.read_committed;
  if (!request.node.calls()) co_return;
  co_await read_where_led(request.node, request.shard, std::move(asked), left,
                          state.bytes == 0 && !full, read_committed);
  for (size_t i = 0; i < remote.size(); ++i) {
    Read& read = *of[i];
    read.leader.reset();
    read.elsewhere = true;
    read.again = !remote[i].answer;
    if (read.again) continue;
    if (*remote[i].answer) {
      read.fetched = std::move(**remote[i].answer);
      state.bytes += read.fetched.bytes;
    } else {
      read.error = remote[i].answer->error();
    }
  }
}

// What others lead and have uploaded, for a client of our rack.
Task<void> read_all_nearby(Request& request, FetchState& state, size_t bytes_max, bool full) {
  for (Read& read : state.reads) {
    if (read.error != KafkaError::none || !read.nearby) continue;
    const size_t left = bytes_max > state.bytes ? bytes_max - state.bytes : 0;
    partition::FetchRequest what = read.what;
    what.bytes_max = std::min(what.bytes_max, left);
    what.at_least_one = state.bytes == 0 && !full;
    const cluster::TopicImage* topic = state.image->topic(read.topic_id);
    auto fetched = co_await read_nearby(request.node, request.shard, read.stream(),
                                        topic->partitions[static_cast<size_t>(read.index)], what);
    if (!fetched) {
      read.error = fetched.error();
      continue;
    }
    state.bytes += fetched->bytes;
    read.fetched = std::move(*fetched);
    request.node.host_of(request.shard)
        .metrics.nearby_reads.fetch_add(1, std::memory_order_relaxed);
  }
}

// One pass over all partitions: the first one with data may exceed its limits by one batch, so that
// a consumer always gets on; the rest share what is left of the answer. While unsent answers hold
// all their memory, only small batches are read.
Task<void> read_all(Request& request, FetchState& state, size_t bytes_wanted) {
  for (Read& read : state.reads) {
    read.fetched = {};
    read.leader.reset();
    read.elsewhere = false;
    read.again = false;
    read.nearby = false;
    read.sent_to.reset();
  }
  state.bytes = 0;
  state.held = {};
  AnswerMemory& memory = request.node.answers();
  const size_t bytes_max = memory.share(bytes_wanted);
  const bool full = memory.full();
  state.held = memory.hold(full ? bytes_max : memory.share_with_a_batch(bytes_max));
  Node& node = request.node;
  for (size_t shard = 0; shard < node.shard_count(); ++shard) {
    ShardHost& host = node.host(shard);
    const bool wanted = std::ranges::any_of(state.reads, [&](const Read& read) {
      return read.error == KafkaError::none && &node.home_of(read.topic_id, read.index) == &host;
    });
    if (!wanted) continue;
    co_await env::call_on(*host.shard, request.shard, [&node, &host, &state, bytes_max, full] {
      return read_on(&node, &host, &state, bytes_max, full);
    });
  }
  co_await read_elsewhere(request, state, bytes_max, full);
  co_await read_all_nearby(request, state, bytes_max, full);
  state.held = memory.hold(state.bytes);
  state.failed = std::any_of(state.reads.begin(), state.reads.end(),
                             [](const Read& read) { return read.error != KafkaError::none; });
  state.sent = std::ranges::any_of(state.reads, [](const Read& read) { return !!read.sent_to; });
  state.too_big = full && state.bytes == 0 &&
                  std::any_of(state.reads.begin(), state.reads.end(), [](const Read& read) {
                    return !read.sent_to && read.fetched.high_watermark > read.what.from;
                  });
}

// Slow readers are ended when others need the memory (Connection): one who needs it waits for that
// to happen, and otherwise gets an empty answer.
Task<void> wait_for_memory(Request& request, FetchState& state, size_t bytes_max) {
  const env::Instant deadline =
      request.shard.now() +
      2 * std::chrono::milliseconds(request.node.settings().answer_patience_ms);
  while (state.too_big && !request.node.stopping() && request.shard.now() < deadline) {
    co_await env::sleep_for(request.shard, std::chrono::milliseconds(20));
    co_await read_all(request, state, bytes_max);
  }
}

// Hears of changes in the partitions of one waiting fetch. Shared with their shards, because a
// notice may be on its way when the fetch has long been answered.
struct Waiting {
  explicit Waiting(env::Shard& shard) : home(shard), event(shard) {}
  env::Shard& home;
  env::Event event;
  bool changed = false;  // on home
};

// Subscriptions belong to the partitions' shards: made there, destroyed there.
struct ShardSubscriptions {
  std::vector<std::unique_ptr<partition::Partition::Subscription>> all;
};

Task<std::shared_ptr<ShardSubscriptions>> subscribe_on(ShardHost* host, Node* node,
                                                       const std::vector<Read>* reads,
                                                       std::shared_ptr<Waiting> waiting) {
  auto made = std::make_shared<ShardSubscriptions>();
  auto notify = [waiting] {
    waiting->home.post([waiting] {
      waiting->changed = true;
      waiting->event.notify_all();
    });
  };
  for (const Read& read : *reads) {
    if (&node->home_of(read.topic_id, read.index) != host) continue;
    const Relay* relay = host->find_relay(read.stream());
    if (relay && relay->target().lane != node->cluster().lane())
      made->all.push_back(watch_where_led(*node, *host, read.stream(), notify));
    if (Hosted* hosted = host->find(read.topic_id, read.index))
      made->all.push_back(hosted->partition->subscribe(notify));
  }
  co_return made;
}

// A partition that is between two leaders is looked for again.
constexpr env::Duration kBetweenRounds = std::chrono::milliseconds(2);
constexpr int kRoundsMax = 10;
bool moves(const FetchState& state) {
  return std::ranges::any_of(state.reads, &Read::again);
}

using Subscriptions = std::vector<std::pair<ShardHost*, std::shared_ptr<ShardSubscriptions>>>;

Task<Subscriptions> subscribe_all(Request& request, FetchState& state,
                                  std::shared_ptr<Waiting> waiting) {
  Node& node = request.node;
  Subscriptions subscriptions;
  for (size_t shard = 0; shard < node.shard_count(); ++shard) {
    ShardHost& host = node.host(shard);
    const bool wanted = std::any_of(state.reads.begin(), state.reads.end(), [&](const Read& read) {
      return &node.home_of(read.topic_id, read.index) == &host;
    });
    if (!wanted) continue;
    auto made = co_await env::call_on(*host.shard, request.shard, [&host, &node, &state, waiting] {
      return subscribe_on(&host, &node, &state.reads, waiting);
    });
    subscriptions.emplace_back(&host, std::move(made));
  }
  co_return subscriptions;
}

void let_go(Subscriptions& subscriptions) {
  for (auto& [host, made] : std::exchange(subscriptions, {}))
    host->shard->post([gone = std::move(made)]() mutable { gone.reset(); });
}

// Which of them were read from another broker.
std::vector<bool> placement(const FetchState& state) {
  std::vector<bool> elsewhere;
  for (const Read& read : state.reads) elsewhere.push_back(read.elsewhere);
  return elsewhere;
}

// Waits until there is enough, something failed, or the deadline passes.
Task<void> long_poll(Request& request, FetchState& state, size_t bytes_min, size_t bytes_max,
                     env::Instant deadline) {
  auto waiting = std::make_shared<Waiting>(request.shard);
  std::vector<bool> placed = placement(state);
  Subscriptions subscriptions = co_await subscribe_all(request, state, waiting);
  for (;;) {
    waiting->changed = false;
    co_await read_all(request, state, bytes_max);
    if (moves(state) && request.shard.now() < deadline) {
      co_await env::sleep_for(request.shard, kBetweenRounds);
      continue;
    }
    if (state.failed || state.sent || state.bytes >= bytes_min || request.shard.now() >= deadline)
      break;
    if (request.node.stopping()) break;
    // What has moved is listened to where it is, and looked at once more after that.
    if (auto now = placement(state); now != placed) {
      placed = std::move(now);
      let_go(subscriptions);
      subscriptions = co_await subscribe_all(request, state, waiting);
      continue;
    }
    // In steps: an ending broker must not be held up by a patient consumer.
    while (!waiting->changed && !request.node.stopping() && request.shard.now() < deadline)
      co_await waiting->event.wait_until(
          std::min(deadline, request.shard.now() + std::chrono::milliseconds(250)));
  }
  let_go(subscriptions);
}

void answer_partition(Read& read, const protocol::FetchRequest& message,
                      protocol::FetchResponse::Topic::Partition& one) {
  one.partition_index = read.index;
  one.error_code = wire(read.error);
  if (message.isolation_level == 0) one.aborted_transactions = std::nullopt;
  if (read.error != KafkaError::none) {
    one.high_watermark = -1;
    return;
  }
  one.high_watermark = read.fetched.high_watermark.value;
  one.last_stable_offset = read.fetched.last_stable_offset.value;
  one.log_start_offset = read.fetched.log_start.value;
  one.records = std::move(read.fetched.records);
  if (read.sent_to) one.preferred_read_replica = read.sent_to->value;
}

}  // namespace

Task<Reply> handle_fetch(Request& request) {
  PACELINE_DECODE(FetchRequest, message);
  const Settings& settings = request.node.settings();
  protocol::FetchResponse response;
  // Sessions are declined: the answer to a new one carries id 0, so that the client sends all its
  // partitions each time. Nobody can hold an id of ours.
  if (message.session_id != 0) {
    response.error_code = wire(KafkaError::fetch_session_id_not_found);
    request.complain(KafkaError::fetch_session_id_not_found, "there are no fetch sessions");
    co_return reply_with(request, response);
  }
  const int32_t replica =
      request.version >= 15 ? message.replica_state.replica_id : message.replica_id;
  const auto image = request.node.image();
  FetchState state;
  state.image = image;
  if (request.version >= 11) state.rack = message.rack_id;
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found =
        request.version >= 13 ? image->topic(topic.topic_id) : image->topic(topic.topic);
    for (const auto& partition : topic.partitions) {
      Read read;
      read.index = partition.partition;
      read.error = why_not_here(request.node, found, partition.partition);
      read.led_here = read.error != KafkaError::not_leader_or_follower;
      if (!read.led_here) read.error = KafkaError::none;
      if (found) {
        read.topic_id = found->id;
      } else if (request.version >= 13) {
        read.error = KafkaError::unknown_topic_id;
      }
      // Clients of these versions know no zstd; only a topic that says so is sure to hold it.
      if (read.error == KafkaError::none && request.version < 10 &&
          request.node.topic_configs().value("compression.type", *found, *image) == "zstd")
        read.error = KafkaError::unsupported_compression_type;
      // Nobody replicates from us: a replica id is a forged one.
      if (replica >= 0) read.error = KafkaError::cluster_authorization_failed;
      if (state.reads.size() >= settings.fetch_partitions_max)
        read.error = KafkaError::invalid_request;
      read.what.from = Offset(partition.fetch_offset);
      read.what.expected_epoch = Epoch(partition.current_leader_epoch);
      read.what.last_fetched_epoch = Epoch(partition.last_fetched_epoch);
      read.what.bytes_max = static_cast<size_t>(std::max(partition.partition_max_bytes, 0));
      read.what.read_committed = message.isolation_level == 1;
      state.reads.push_back(std::move(read));
    }
  }
  const auto bytes_max = static_cast<size_t>(
      std::clamp<int64_t>(message.max_bytes, 0, static_cast<int64_t>(settings.fetch_bytes_max)));
  const auto bytes_min = std::min(static_cast<size_t>(std::max(message.min_bytes, 0)), bytes_max);
  const auto wait_ms = std::clamp<int64_t>(message.max_wait_ms, 0, settings.fetch_wait_max_ms);
  const env::Instant deadline = request.shard.now() + std::chrono::milliseconds(wait_ms);

  co_await read_all(request, state, bytes_max);
  for (int round = 0; round < kRoundsMax && moves(state); ++round) {
    co_await env::sleep_for(request.shard, kBetweenRounds);
    co_await read_all(request, state, bytes_max);
  }
  if (!state.reads.empty() && !state.failed && !state.sent && state.bytes < bytes_min &&
      wait_ms > 0)
    co_await long_poll(request, state, bytes_min, bytes_max, deadline);
  if (state.too_big) co_await wait_for_memory(request, state, bytes_max);
  for (Read& read : state.reads) {
    if (!read.again) continue;
    read.error = KafkaError::not_leader_or_follower;
    state.failed = true;
  }

  const LeaderHints hints(request);
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.responses.emplace_back();
    answer.topic = std::string(topic.topic);
    answer.topic_id = topic.topic_id;
    for ([[maybe_unused]] const auto& partition : topic.partitions) {
      Read& read = state.reads[at++];
      auto& one = answer.partitions.emplace_back();
      answer_partition(read, message, one);
      if (read.error == KafkaError::not_leader_or_follower && request.version >= 16)
        hints.add(read.topic_id, read.index, one, response);
    }
  }
  Metrics& metrics = request.node.host_of(request.shard).metrics;
  metrics.bytes_out.fetch_add(state.bytes, std::memory_order_relaxed);
  if (state.failed) metrics.fetch_failed.fetch_add(1, std::memory_order_relaxed);
  for (const Read& read : state.reads) {
    request.complain(read.error);
    if (read.sent_to) metrics.sent_nearby.fetch_add(1, std::memory_order_relaxed);
  }
  Reply reply = reply_with(request, response);
  reply.failed = state.failed;
  co_return reply;
}

}  // namespace paceline::broker
