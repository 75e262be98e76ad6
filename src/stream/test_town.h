#pragma once

#include <functional>
#include <set>

#include "stream/test_house.h"

// Several brokers' storages on one world, log, object store and metadata, with a simple cluster
// over them: pages that say who leads, fences, failovers and planned moves.

namespace paceline::stream {

inline constexpr size_t kA = 0;
inline constexpr size_t kB = 1;
inline constexpr size_t kC = 2;

inline std::string why(const Result<void>& result) {
  return result ? "" : result.error().to_string();
}

class Town {
 public:
  static constexpr size_t kShards = 2;  // a broker
  static constexpr size_t kBrokers = 3;

  explicit Town(uint64_t seed, size_t count = kBrokers) : world(seed, kShards * count) {
    set_log_level(LogLevel::off);
    House defaults(seed, 1);
    options = defaults.options;
    options.compaction_bytes = 0;
    for (size_t i = 0; i < count; ++i) brokers.push_back(std::make_unique<Broker>());
  }
  ~Town() {
    for (size_t i = 0; i < brokers.size(); ++i) crash(i);
  }

  struct Opened {
    Stream* stream = nullptr;
    HashOwner owner;
    size_t shard = 0;
  };
  struct Broker {
    uint64_t incarnation = 0;
    std::unique_ptr<Storage> storage;
    std::map<uint32_t, std::unique_ptr<Opened>> open;
    Events events;
  };
  struct Leader {
    Lane lane;
    Epoch epoch;
    std::optional<Lane> from;
  };

  TestWorld world;
  TestWal files;
  TestObjects objects;
  TestMeta meta;
  std::unique_ptr<wal::Wal> slots;
  Options options;
  bool heirs_share = false;  // the first living heir of a lane reads its log, the others ask it
  int questions = 0;         // that were answered, if only by an error
  std::vector<std::unique_ptr<Broker>> brokers;
  std::map<uint32_t, int64_t> acknowledged;  // where each stream ends

  wal::Wal& log() { return slots ? *slots : files; }
  void use_object_wal() {
    wal::ObjectWalOptions chosen{.cluster_id = options.cluster_id};
    chosen.slot_bytes_max = 4000;
    chosen.block_bytes = 16 << 10;
    slots = wal::make_object_wal(objects, chosen);
  }
  env::Shard& shard(size_t broker, size_t index = 0) {
    return world.shard(broker * kShards + index);
  }
  static BrokerId id_of(size_t broker) { return BrokerId(static_cast<int32_t>(broker)); }
  Lane lane(size_t broker) { return {id_of(broker), Incarnation(brokers[broker]->incarnation)}; }

  // Who leads what: pages, and the chain of sealed lanes behind them.
  static std::string page_key(uint32_t index) { return fmt::format("pages/test/{}", index); }
  static std::string page(Epoch epoch, Lane lane) {
    Encoder out;
    out.put(epoch).put(lane);
    return out.take();
  }
  meta::LaneRecord record(Lane which) {
    return meta::decode<meta::LaneRecord>(meta.entries.at(meta::lane_key(which)).value).value();
  }
  Leader leader(uint32_t index) {
    Decoder in(meta.entries.at(page_key(index)).value);
    Leader at{.lane = {}, .epoch = in.get<Epoch>(), .from = {}};
    at.lane = in.lane();
    for (;;) {
      const meta::LaneRecord here = record(at.lane);
      if (!here.sealed) return at;
      at.from = at.lane;
      at.epoch = at.epoch + 1;
      at.lane = here.successors[index % here.successors.size()].lane;
    }
  }
  size_t leading(uint32_t index) { return static_cast<size_t>(leader(index).lane.broker.value); }
  // A stream that `broker` leads from its first record on, and has open.
  void create(uint32_t index, size_t broker) {
    meta.put(page_key(index), page(Epoch(1), lane(broker)));
    acknowledged[index] = 0;
    ASSERT_TRUE(open(broker, index));
  }
  void erase_topic(uint32_t index) { meta.entries.erase(page_key(index)); }

  void seal(Lane which, std::vector<Lane> successors) {
    meta::LaneRecord sealed = record(which);
    sealed.sealed = true;
    sealed.successors.clear();
    for (const Lane& one : successors) sealed.successors.push_back({one, 1, ""});
    meta.put(meta::lane_key(which), meta::encode(sealed));
  }
  bool registered(size_t broker) {
    const auto found = meta.entries.find(meta::broker_key(id_of(broker)));
    return found != meta.entries.end() &&
           meta::decode<meta::BrokerRecord>(found->second.value)->registered;
  }
  void put_broker(size_t broker, bool is_registered) {
    meta::BrokerRecord own;
    own.incarnation = Incarnation(brokers[broker]->incarnation);
    own.registered = is_registered;
    meta.put(meta::broker_key(id_of(broker)), meta::encode(own));
  }

  // Starts the next incarnation, and opens what it leads.
  Result<void> start(size_t broker) {
    Broker& one = *brokers[broker];
    const Lane before = lane(broker);
    ++one.incarnation;
    meta.put(meta::lane_key(lane(broker)), meta::encode(meta::LaneRecord{}));
    if (before.incarnation.value > 0 && !record(before).sealed) seal(before, {lane(broker)});
    put_broker(broker, true);
    Options chosen = options;
    chosen.lane = lane(broker);
    chosen.left_to = [this](const Lane& heir) {
      std::vector<Lane> left;
      for (const auto& [key, entry] : meta.entries) {
        const auto parsed = meta::parse_lane_key(key);
        if (!parsed || parsed->kind != meta::LaneKey::Kind::lane) continue;
        if (parsed->lane.broker == heir.broker) continue;
        for (const meta::Successor& successor : record(parsed->lane).successors)
          if (successor.lane == heir) left.push_back(parsed->lane);
      }
      return left;
    };
    chosen.leads = [this, own = lane(broker)](const StreamId& id) {
      return !meta.entries.contains(page_key(id.index)) || leader(id.index).lane == own;
    };
    auto sink = [&one](Event event) {
      ++one.events.counts[std::string(event.type)];
      one.events.lines.push_back(to_text(event));
    };
    std::vector<env::Shard*> shards{&shard(broker, 0), &shard(broker, 1)};
    auto started = world.wait(broker * kShards, Storage::start(shards, meta, ObjectStores(objects),
                                                               log(), std::move(chosen), sink));
    if (!started) return fail(started.error());
    one.storage = std::move(*started);
    return take_over(broker);
  }
  void crash(size_t broker) {
    Broker& one = *brokers[broker];
    world.crash(broker * kShards, kShards);
    one.storage.reset();
    one.open.clear();
    world.crash(broker * kShards, kShards);
  }
  // The others end it, and share what it led.
  void fence(size_t broker) {
    std::vector<Lane> heirs;
    for (size_t i = 0; i < brokers.size(); ++i)
      if (i != broker && registered(i)) heirs.push_back(lane(i));
    seal(lane(broker), heirs);
    put_broker(broker, false);
  }
  LogShare share(Lane estate, size_t broker) {
    if (!heirs_share) return {};
    LogShare share;
    share.readers = [this, own = lane(broker)](Lane of) {
      std::vector<Lane> before_us;
      for (const meta::Successor& heir : record(of).successors) {
        if (heir.lane == own) break;
        before_us.push_back(heir.lane);
      }
      return before_us;
    };
    share.ask = [this](env::Shard& home, LogQuestion question, env::Instant deadline) {
      return ask(*this, home, std::move(question), deadline);
    };
    for (const uint32_t index : streams())
      if (leader(index).lane == lane(broker) && leader(index).from == estate)
        share.streams.push_back(stream_id(index));
    return share;
  }
  // A question that is lost, or whose answer is, with the death of who was asked.
  static Task<Result<Slice>> ask(Town& town, env::Shard& home, LogQuestion question,
                                 env::Instant deadline) {
    const auto whom = static_cast<size_t>(question.reader.broker.value);
    using Answer = std::optional<Result<Slice>>;
    const auto answer = std::make_shared<Answer>();
    auto tell = [](Town* all, size_t who, LogQuestion asked,
                   std::shared_ptr<Answer> into) -> Task<void> {
      auto told = co_await all->brokers[who]->storage->tell_log(all->shard(who), std::move(asked));
      *into = std::move(told);
      ++all->questions;
    };
    if (!town.brokers[whom]->storage) co_return fail(Code::unavailable, "it is dead");
    town.shard(whom).spawn(tell(&town, whom, std::move(question), answer));
    while (!*answer && home.now() < deadline)
      co_await env::sleep_for(home, std::chrono::microseconds(200));
    if (!*answer) co_return fail(Code::timed_out, "no answer");
    co_return **answer;
  }
  // As a broker that has seen the fences: opens what it leads, then says that it has its share.
  Result<void> take_over(size_t broker, bool settle = true) {
    Broker& one = *brokers[broker];
    std::vector<Lane> left;
    for (const auto& [key, entry] : meta.entries) {
      const auto parsed = meta::parse_lane_key(key);
      if (!parsed || parsed->kind != meta::LaneKey::Kind::lane ||
          parsed->lane.broker == id_of(broker))
        continue;
      for (const meta::Successor& successor : record(parsed->lane).successors)
        if (successor.lane == lane(broker)) left.push_back(parsed->lane);
    }
    for (const Lane& estate : left) one.storage->inherit(estate, share(estate, broker));
    Result<void> all;
    for (const uint32_t index : streams())
      if (leader(index).lane == lane(broker) && !one.open.contains(index))
        if (auto opened = open(broker, index); !opened) all = fail(opened.error());
    if (settle && all)
      for (const Lane& estate : left) one.storage->inherited(estate);
    return all;
  }
  std::vector<uint32_t> streams() {
    std::vector<uint32_t> all;
    for (const auto& [index, end] : acknowledged)
      if (meta.entries.contains(page_key(index))) all.push_back(index);
    return all;
  }
  Result<Stream*> open(size_t broker, uint32_t index) {
    return open(broker, index, leader(index).from);
  }
  Result<Stream*> open(size_t broker, uint32_t index, std::optional<Lane> from) {
    auto opened = std::make_unique<Opened>();
    opened->shard = index % kShards;
    auto opening = [](Town& town, size_t who, Opened& into, uint32_t which,
                      std::optional<Lane> left) -> Task<Result<Stream*>> {
      CO_TRY(Storage::Opened got,
             co_await town.brokers[who]->storage->open(town.shard(who, into.shard),
                                                       stream_id(which), into.owner, left));
      into.owner.take_in(got.recovered);
      into.stream = got.stream;
      co_return got.stream;
    };
    TRY(Stream * stream,
        world.wait(broker * kShards + opened->shard, opening(*this, broker, *opened, index, from)));
    brokers[broker]->open[index] = std::move(opened);
    return stream;
  }
  void close(size_t broker, uint32_t index) {
    const size_t at = brokers[broker]->open.at(index)->shard;
    world.wait_void(broker * kShards + at,
                    brokers[broker]->storage->close(shard(broker, at), stream_id(index)));
    brokers[broker]->open.erase(index);
  }
  // Appends at whoever leads it.
  Result<void> append(uint32_t index, int count) {
    const Leader now = leader(index);
    const auto broker = static_cast<size_t>(now.lane.broker.value);
    auto appending = [](Town& town, size_t who, uint32_t which, int many,
                        Epoch epoch) -> Task<Result<void>> {
      Opened& opened = *town.brokers[who]->open.at(which);
      for (int i = 0; i < many; ++i) {
        const Batch batch = batch_at(which, opened.stream->end().value, epoch);
        std::vector<Batch> batches{batch};
        CO_TRY(Position at, co_await opened.stream->append(std::move(batches)));
        (void)at;
        opened.owner.apply(batch);
        town.acknowledged[which] = batch.end().value;
      }
      co_return Result<void>{};
    };
    return world.wait(broker * kShards + brokers[broker]->open.at(index)->shard,
                      appending(*this, broker, index, count, now.epoch));
  }
  Result<void> trim(uint32_t index, int64_t start) {
    const size_t broker = leading(index);
    Opened& opened = *brokers[broker]->open.at(index);
    return world.wait(broker * kShards + opened.shard, opened.stream->trim(Offset(start)));
  }
  Result<void> upload(size_t broker) {
    return world.wait(broker * kShards, brokers[broker]->storage->upload_now(shard(broker)));
  }

  // The steps of a move, each by itself.
  Result<Slice> passport(size_t from, uint32_t index) {
    const size_t at = brokers[from]->open.at(index)->shard;
    return world.wait(from * kShards + at,
                      brokers[from]->storage->passport(shard(from, at), stream_id(index)));
  }
  Result<Position> adopt(size_t to, uint32_t index, Slice passport) {
    std::vector<Storage::Adoption> all{{stream_id(index), std::move(passport)}};
    return world.wait(to * kShards, brokers[to]->storage->adopt(shard(to), std::move(all)));
  }
  // Rewrites the pages of all `indexes` to say that `to` leads, together with its lane's record.
  Result<void> commit(size_t to, Position adopted, std::vector<uint32_t> indexes) {
    Storage::CommitAdoption committing = [this, to, indexes](meta::Transaction&& transaction) {
      for (const uint32_t index : indexes) {
        const Leader now = leader(index);
        transaction.if_modified_at(page_key(index), meta.entries.at(page_key(index)).modified)
            .if_modified_at(meta::broker_key(now.lane.broker),
                            meta.entries.at(meta::broker_key(now.lane.broker)).modified)
            .put(page_key(index), page(now.epoch + 1, lane(to)));
      }
      return meta.commit(shard(to), std::move(transaction));
    };
    return world.wait(to * kShards,
                      brokers[to]->storage->commit_adoption(shard(to), adopted, committing));
  }
  void let_go(size_t from, uint32_t index) {
    close(from, index);
    world.wait_void(from * kShards, brokers[from]->storage->release(shard(from), stream_id(index)));
  }
  // All of it.
  Result<void> move(uint32_t index, size_t to) {
    const size_t from = leading(index);
    TRY(Slice passport, passport(from, index));
    TRY(Position at, adopt(to, index, std::move(passport)));
    TRY_VOID(commit(to, at, {index}));
    TRY(Stream * opened, open(to, index));
    (void)opened;
    let_go(from, index);
    return {};
  }

  // Reads all of a stream at its leader; compares it, its state and its end with what was written.
  Result<void> verify(uint32_t index) {
    const size_t broker = leading(index);
    Opened& opened = *brokers[broker]->open.at(index);
    if (opened.stream->end().value != acknowledged[index])
      return fail(Code::corrupt, fmt::format("ends at {} instead of {}", opened.stream->end().value,
                                             acknowledged[index]));
    if (opened.owner.last() != HashOwner::expected(index, acknowledged[index]))
      return fail(Code::corrupt, "another state");
    Offset at = opened.stream->start();
    while (at < opened.stream->end()) {
      const ReadRequest request{.from = at, .bytes_max = 1 + world.random.below(6000)};
      TRY(ReadResult result,
          world.wait(broker * kShards + opened.shard, opened.stream->read(request)));
      if (result.batches.empty())
        return fail(Code::corrupt, fmt::format("nothing at {}", at.value));
      for (const Batch& batch : result.batches) {
        const int64_t base = batch.base.value;
        if (batch.base > at || batch.count != count_at(base) ||
            as_text(batch.bytes.bytes()) != payload_at(index, base))
          return fail(Code::corrupt, fmt::format("another batch at {}", base));
        at = batch.end();
      }
    }
    return {};
  }
  Result<void> verify_all() {
    for (const uint32_t index : streams())
      if (auto one = verify(index); !one)
        return fail(Code::corrupt, fmt::format("stream {}: {}", index, one.error().message));
    return {};
  }
};

}  // namespace paceline::stream
