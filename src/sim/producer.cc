#include <algorithm>

#include "protocol/gen/init_producer_id.h"
#include "protocol/gen/produce.h"
#include "record/kafka_error.h"
#include "sim/router.h"

namespace paceline::sim {

using namespace std::chrono_literals;
using record::KafkaError;

namespace {

constexpr size_t kInFlightMax = 5;  // batches a partition, as the protocol demands of idempotence
constexpr record::Codec kCodecs[] = {record::Codec::none, record::Codec::none,
                                     record::Codec::lz4,  record::Codec::zstd,
                                     record::Codec::gzip, record::Codec::snappy};

// A batch on its way.
struct Batch {
  Send send;
  int32_t sequence = 0;
  std::string bytes;
  history::Time invoked{};
  bool sent_before = false;
  bool ask_again = false;  // acknowledged, and sent once more as if the answer had been lost
};

class Producer {
 public:
  Producer(Clients& clients, bool idempotent)
      : clients_(clients), router_(clients, 3s), idempotent_(idempotent) {}

  Task<void> run() {
    ++clients_.busy;
    // As a real client, which waits for metadata to name a leader: an unknown producer may start at
    // any sequence, so a topic that appears between two requests would end its order.
    while (!clients_.topic_made) co_await env::sleep_for(clients_.shard, 5ms);
    while (!clients_.finishing || !settled()) {
      if (idempotent_ && !id_) {
        co_await begin_session();
        continue;
      }
      if (!id_) new_session(record::kNoProducerId, record::kNoProducerEpoch);
      if (!clients_.finishing) top_up();
      co_await round();
      if (clients_.random.chance(0.01)) abandon();
      co_await env::sleep_for(clients_.shard, clients_.between(1ms, 60ms));
    }
    --clients_.busy;
  }

 private:
  bool settled() const {
    for (const auto& [key, batches] : open_)
      if (!batches.empty()) return false;
    return true;
  }

  Task<void> begin_session() {
    protocol::InitProducerIdRequest request;
    request.transactional_id.reset();
    request.transaction_timeout_ms = 60'000;
    Link* link = co_await router_.any();
    if (link) {
      auto answer = co_await link->current()->call<protocol::InitProducerIdResponse>(4, request);
      if (answer && answer->error_code == 0) {
        new_session(record::ProducerId(answer->producer_id), answer->producer_epoch);
        co_return;
      }
      link->drop();
    }
    co_await env::sleep_for(clients_.shard, 20ms);
  }
  void new_session(record::ProducerId id, int16_t epoch) {
    id_ = id;
    epoch_ = epoch;
    number_ = clients_.next_client++;
    next_value_ = static_cast<Value>(number_) << 32;
    sequences_.clear();
    orders_.clear();
  }
  // As a client that is restarted: nobody will ever learn what became of its last batches.
  void abandon() {
    for (auto& [key, batches] : open_) {
      for (Batch& batch : batches) tell(batch);
      batches.clear();
    }
    id_.reset();
  }
  void tell(Batch& batch) { clients_.history.add(batch.send, batch.invoked, clients_.now()); }

  void top_up() {
    for (Key key = 0; key < clients_.partition_count; ++key) {
      auto& batches = open_[key];
      const size_t want = clients_.random.below(kInFlightMax + 1);
      while (batches.size() < want) batches.push_back(make(key));
    }
  }
  Batch make(Key key) {
    Batch batch;
    batch.send.producer = number_;
    batch.send.idempotent = idempotent_;
    batch.send.key = key;
    batch.send.first = next_value_;
    batch.send.count = static_cast<uint32_t>(1 + clients_.random.below(4));
    batch.send.order = orders_[key]++;
    batch.sequence = sequences_[key];
    sequences_[key] =
        record::advance_sequence(batch.sequence, static_cast<int32_t>(batch.send.count));
    next_value_ += batch.send.count;
    record::BatchBuilder builder;
    builder.codec(kCodecs[clients_.random.below(std::size(kCodecs))]);
    if (idempotent_) builder.producer(*id_, epoch_, batch.sequence);
    builder.timestamp(clients_.shard.wall_ms());
    for (uint32_t i = 0; i < batch.send.count; ++i)
      builder.add("key", value_text(batch.send.first + i));
    batch.bytes = *builder.build();
    batch.invoked = clients_.now();
    return batch;
  }

  // What is open of the keys that one broker leads.
  struct Share {
    Link* link;
    std::vector<Key> keys;
    std::vector<WireClient::Begun> begun;
  };

  // Sends what is open and hears all answers. Now and then a client that waits no longer sends it
  // all again on a new connection, though it is still on its way on the first.
  Task<void> round() {
    const auto version = static_cast<int16_t>(clients_.random.between(7, 12));
    std::vector<Share> shares;
    for (auto& [key, batches] : open_) {
      if (batches.empty()) continue;
      Link* link = co_await router_.leader(key);
      if (!link) continue;
      auto share = std::ranges::find(shares, link, &Share::link);
      if (share == shares.end()) share = shares.insert(share, Share{link, {}, {}});
      share->keys.push_back(key);
    }
    for (Share& share : shares) {
      if (idempotent_ && clients_.random.chance(0.05)) {
        if (!co_await share.link->reach()) continue;
        begin_all(share, version);
        co_await env::sleep_for(clients_.shard, clients_.between(0ms, 3ms));
        forgotten_ = share.link->release();
      }
      if (co_await share.link->reach()) share.begun = begin_all(share, version);
    }
    for (Share& share : shares) {
      if (share.begun.empty()) {
        for (Key key : share.keys) router_.doubt(key);
      } else {
        co_await hear_all(share);
      }
    }
    settle();
  }

  // The j-th batch of every key in the j-th request.
  std::vector<WireClient::Begun> begin_all(Share& share, int16_t version) {
    std::vector<WireClient::Begun> begun;
    for (size_t depth = 0; depth < kInFlightMax; ++depth) {
      protocol::ProduceRequest request;
      request.acks = -1;
      request.timeout_ms = 5000;
      for (Key key : share.keys) {
        auto& batches = open_[key];
        if (depth >= batches.size()) continue;
        if (request.topic_data.empty()) request.topic_data.emplace_back().name = clients_.topic;
        auto& partition = request.topic_data.front().partition_data.emplace_back();
        partition.index = static_cast<int32_t>(key);
        partition.records = as_bytes(batches[depth].bytes);
      }
      if (!request.topic_data.empty())
        begun.push_back(share.link->current()->begin(version, request));
    }
    for (Key key : share.keys)
      for (Batch& batch : open_[key]) {
        batch.sent_before = true;
        if (batch.send.outcome != Outcome::ok && clients_.cluster())
          batch.send.epoch = router_.epoch(key);
      }
    return begun;
  }

  Task<void> hear_all(Share& share) {
    std::map<Key, size_t> answered;  // of open_[key], in order
    std::map<Key, bool> missing;     // a batch before was not accepted in this round
    for (auto& one : share.begun) {
      auto answer = co_await share.link->current()->end<protocol::ProduceResponse>(std::move(one));
      if (!answer) {
        if (answer.error().code == Code::corrupt) clients_.violation(0, answer.error().message);
        share.link->drop();
        for (Key key : share.keys) router_.doubt(key);
        break;
      }
      for (const auto& topic : answer->responses)
        for (const auto& partition : topic.partition_responses) {
          const auto key = static_cast<Key>(partition.index);
          hear(key, open_[key].at(answered[key]++), partition, missing[key], *share.link);
        }
    }
  }

  void hear(Key key, Batch& batch, const protocol::ProduceResponse::Topic::Partition& answer,
            bool& missing, const Link& link) {
    const auto error = static_cast<KafkaError>(answer.error_code);
    if (error == KafkaError::none) {
      if (batch.send.outcome != Outcome::ok) {
        batch.send.outcome = Outcome::ok;
        batch.send.base = answer.base_offset;
        batch.send.by = link.teller();
        batch.ask_again = idempotent_ && clients_.random.chance(0.1);
      } else {
        batch.send.repeated_bases.push_back(answer.base_offset);
        batch.ask_again = false;
      }
      return;
    }
    router_.doubt(key);
    clients_.last_error = fmt::format("produce to partition {}: error {}{}", key, answer.error_code,
                                      clients_.told_by(link));
    const bool retriable =
        error == KafkaError::not_leader_or_follower || error == KafkaError::leader_not_available ||
        error == KafkaError::unknown_topic_or_partition || error == KafkaError::request_timed_out ||
        error == KafkaError::kafka_storage_error || error == KafkaError::not_enough_replicas ||
        (error == KafkaError::out_of_order_sequence_number && missing);
    if (!retriable)
      clients_.violation(
          key, fmt::format("the batch of value {} was refused with {}{}: {}", batch.send.first,
                           answer.error_code, clients_.told_by(link),
                           answer.error_message.value_or("")));
    clients_.last_error = fmt::format("produce to partition {}: error {} {}", key,
                                      answer.error_code, answer.error_message.value_or(""));
    missing = true;
  }

  // What has its answer is told; what has none stays, in order, or is given up by a plain one.
  void settle() {
    for (auto& [key, batches] : open_) {
      while (!batches.empty()) {
        Batch& batch = batches.front();
        const bool over = batch.send.outcome == Outcome::ok && !batch.ask_again;
        if (!over && (idempotent_ || !batch.sent_before)) break;
        tell(batch);
        batches.pop_front();
      }
    }
  }

  Clients& clients_;
  Router router_;
  std::unique_ptr<WireClient> forgotten_;  // a connection whose answers nobody hears
  const bool idempotent_;
  std::optional<record::ProducerId> id_;
  int16_t epoch_ = 0;
  uint32_t number_ = 0;
  Value next_value_ = 0;
  std::map<Key, int32_t> sequences_;
  std::map<Key, uint64_t> orders_;
  std::map<Key, std::deque<Batch>> open_;
};

}  // namespace

Task<void> run_idempotent_producer(Clients& clients) {
  Producer producer(clients, true);
  co_await producer.run();
}

Task<void> run_plain_producer(Clients& clients) {
  Producer producer(clients, false);
  co_await producer.run();
}

}  // namespace paceline::sim
