#include <algorithm>

#include "base/log.h"
#include "broker/balancer.h"
#include "broker/errors.h"
#include "broker/forward.h"
#include "broker/mover.h"
#include "broker/nearby.h"
#include "broker/node.h"

// What planned moves need of the node: who leads what has left, and what other brokers ask.

namespace paceline::broker {

Relay* ShardHost::find_relay(const StreamId& id) {
  const auto found = relays.find(id);
  if (found == relays.end()) return nullptr;
  Relay& relay = *found->second;
  if (relay.moving || !relay.empty() || shard->now() < relay.until) return &relay;
  relays.erase(found);
  return nullptr;
}

Relay& ShardHost::relay(const StreamId& id, Relay::Target here) {
  if (Relay* known = find_relay(id)) {
    known->retarget(here);
    return *known;
  }
  return *(relays[id] = std::make_shared<Relay>(*shard, here));
}

void Node::look_again() {
  look_again_ = true;
  image_event_.notify_all();
}

// An image may be older than what we know: it lags behind our own moves.
bool Node::may_open(ShardHost& host, const StreamId& id, const cluster::PartitionImage& partition) {
  const Relay* relay = host.find_relay(id);
  if (host.arriving.contains(id) || (relay && relay->moving)) return false;
  const auto given = host.given_up.find(id);
  if (given == host.given_up.end()) return true;
  if (partition.epoch < given->second) return false;
  host.given_up.erase(given);
  return true;
}

void Node::follow_leader(ShardHost& host, const StreamId& id,
                         const cluster::PartitionImage& partition) {
  if (const auto given = host.given_up.find(id);
      given != host.given_up.end() && partition.epoch >= given->second)
    host.given_up.erase(given);
  Relay* relay = host.find_relay(id);
  if (!relay || relay->moving) return;
  const Hosted* hosted = host.find(id);
  if (hosted && hosted->partition->epoch() >= partition.epoch) return;
  relay->retarget({partition.lane, partition.epoch});
}

Task<Result<std::vector<Outcome>>> Node::ask(env::Shard& home, BrokerId whom, PeerRequest request) {
  if (whom == settings_.broker) {
    auto serve = [this, request = std::move(request)]() mutable {
      return serve_here(std::move(request));
    };
    co_return co_await env::call_on(shard_, home, std::move(serve));
  }
  if (!calls()) co_return fail(Code::unavailable, "this broker has no connections to others");
  Slice body = encode(request);
  CO_TRY(const Slice answer, co_await calls()->call(home, whom, std::move(body),
                                                    home.now() + std::chrono::seconds(60)));
  co_return decode_outcomes(answer);
}

Task<std::vector<Outcome>> Node::serve_here(PeerRequest request) {
  auto pass = background_.enter();
  if (auto* move = std::get_if<MoveRequest>(&request))
    co_return co_await mover_->give(std::move(move->streams), move->to);
  if (auto* adopt = std::get_if<Adopt>(&request)) {
    std::vector<Outcome> one;
    one.push_back(co_await mover_->take(std::move(*adopt)));
    co_return one;
  }
  if (auto* prefer = std::get_if<PreferRequest>(&request))
    co_return co_await mover_->prefer(std::move(prefer->preferences));
  std::vector<Outcome> outcome(1);
  if (!std::holds_alternative<DrainRequest>(request)) {
    outcome[0] = {KafkaError::invalid_request, "a question of another kind"};
  } else if (!calls()) {
    outcome[0] = {KafkaError::invalid_request, "this broker has no connections to others"};
  } else {
    mover_->stay_drained();
    auto drain = [](Node* node, env::Gate::Pass) -> Task<void> {
      const env::Instant deadline =
          node->shard_.now() + std::chrono::milliseconds(node->settings_.drain_max_ms);
      const size_t left = co_await node->mover_->drain(deadline);
      log_info("drained: {} partitions are left", left);
    };
    shard_.spawn(drain(this, background_.enter()));
  }
  co_return outcome;
}

Task<LoadAnswer> Node::load() {
  // A partition that stays offline for longer than that is no takeover any more.
  constexpr env::Duration kTakingOver = std::chrono::seconds(60);
  LoadAnswer answer;
  for (auto& host : hosts_) {
    auto look = [](ShardHost* target) -> Task<std::vector<StreamLoad>> {
      auto find = [target](const StreamId& id) {
        const auto found = target->hosted.find(id);
        return found == target->hosted.end() ? nullptr : &found->second->load;
      };
      co_return target->load.look(target->shard->now(), find);
    };
    auto looking = [look, target = host.get()] { return look(target); };
    const auto some = co_await env::call_on(*host->shard, shard_, looking);
    answer.loads.insert(answer.loads.end(), some.begin(), some.end());
  }
  std::ranges::sort(answer.loads, {}, &StreamLoad::stream);
  if (mover_->going() || stopping_)
    answer.condition = Condition::going;
  else if (!unsettled_.empty() && shard_.now() - left_at_ < kTakingOver)
    answer.condition = Condition::taking_over;
  else if (mover_->drained())
    answer.condition = Condition::drained;
  co_return answer;
}

Task<BalanceAnswer> Node::balance(env::Shard& home, bool dry_run) {
  const auto image = this->image();
  const BrokerId whom = image->brokers.empty() ? settings_.broker : image->brokers.front().id;
  if (whom == settings_.broker) {
    auto balance = [this, dry_run]() -> Task<BalanceAnswer> { return balancer_->balance(dry_run); };
    co_return co_await env::call_on(shard_, home, balance);
  }
  BalanceAnswer answer{KafkaError::request_timed_out, "", whom, {}, {}};
  if (!calls()) {
    answer.error = KafkaError::invalid_request;
    answer.message = "this broker has no connections to others";
    co_return answer;
  }
  Slice body = encode(PeerRequest(BalanceRequest{dry_run}));
  auto told =
      co_await calls()->call(home, whom, std::move(body), home.now() + std::chrono::seconds(10));
  if (!told) {
    answer.message = told.error().message;
    co_return answer;
  }
  auto decoded = decode_balance_answer(*told);
  if (decoded) co_return std::move(*decoded);
  answer.message = decoded.error().message;
  co_return answer;
}

Task<Result<Slice>> Node::serve_call(BrokerId from, Slice body) {
  CO_TRY(PeerRequest request, decode_request(body));
  if (stopping_) co_return fail(Code::unavailable, "the broker stops");
  auto pass = background_.enter();
  if (auto* append = std::get_if<ForwardedAppend>(&request))
    co_return encode(co_await serve_append(*this, shard_, std::move(*append)));
  if (auto* fetch = std::get_if<ForwardedFetch>(&request))
    co_return encode(co_await serve_fetch(*this, shard_, std::move(*fetch)));
  if (auto* watch = std::get_if<ForwardedWatch>(&request))
    co_return encode(co_await serve_watch(*this, shard_, *watch));
  if (auto* group = std::get_if<ForwardedGroup>(&request))
    co_return encode(co_await serve_group(*this, shard_, std::move(*group)));
  if (const auto* excerpt = std::get_if<ExcerptRequest>(&request))
    co_return encode(co_await serve_excerpt(*this, shard_, *excerpt));
  if (auto* question = std::get_if<stream::LogQuestion>(&request))
    co_return co_await storage_.tell_log(shard_, std::move(*question));
  if (std::holds_alternative<LoadRequest>(request)) co_return encode(co_await load());
  if (const auto* balance = std::get_if<BalanceRequest>(&request))
    co_return encode(co_await balancer_->balance(balance->dry_run));
  log_debug("broker {} asks", from.value);
  co_return encode(co_await serve_here(std::move(request)));
}

namespace {

struct Over {
  explicit Over(env::Shard& shard) : changed(shard) {}
  bool is = false;
  env::Event changed;
};

Task<void> drain_until(Mover* mover, env::Instant deadline, std::shared_ptr<Over> over,
                       env::Gate::Pass) {
  (void)co_await mover->drain(deadline);
  over->is = true;
  over->changed.notify_all();
}

}  // namespace

// What is forwarded is not held up: a client that finds its connection closed sleeps before it
// tries again, and one that asks for metadata in its own time does not.
Task<void> Node::drain() {
  const auto image = this->image();
  const bool others = std::ranges::any_of(image->brokers, [&](const cluster::BrokerImage& broker) {
    return broker.id != settings_.broker;
  });
  if (!calls() || !others) co_return;
  mover_->take_no_more();
  const size_t before = mover_->led_here();
  const env::Instant deadline = shard_.now() + std::chrono::milliseconds(settings_.drain_max_ms);
  // A move whose outcome nobody can read is left when the time is up: it goes on nowhere.
  auto over = std::make_shared<Over>(shard_);
  shard_.spawn(drain_until(mover_.get(), deadline, over, background_.enter()));
  while (!over->is && shard_.now() < deadline) co_await over->changed.wait_until(deadline);
  const size_t left = mover_->led_here();
  log_info("drained before the end: {} partitions are left", left);
  // Who was served here until now may come at any moment.
  const env::Instant drained = left < before ? shard_.now() : env::Instant{};
  if (co_await no_forwards(drained, std::chrono::milliseconds(settings_.drain_forward_max_ms)))
    co_return;
  // The others ask for metadata only when they lose a connection or are refused, and librdkafka
  // waits 100 to 250 ms when it is refused. So first they are hung up on: who has another
  // connection asks there at once, and is gone. Who has none would wait for its next look around,
  // up to a second; so we listen still, send on for who comes back, and then refuse it.
  constexpr env::Duration kPartingMax = std::chrono::seconds(1);
  parting_ = true;
  if (co_await no_forwards(shard_.now(), kPartingMax)) co_return;
  lets_go_ = true;
  (void)co_await no_forwards(shard_.now(), kPartingMax);
}

// Until no client has come here for what is led elsewhere for a while, `since` or later. False: one
// came still, and `at_most` is over.
Task<bool> Node::no_forwards(env::Instant since, env::Duration at_most) {
  constexpr env::Duration kQuiet = std::chrono::milliseconds(500);
  const env::Instant until = shard_.now() + at_most;
  for (;;) {
    const env::Instant last =
        std::max(since, env::Instant{std::chrono::milliseconds(last_forward_ms_.load())});
    if (shard_.now() - last >= kQuiet) co_return true;
    if (shard_.now() >= until) co_return false;
    co_await env::sleep_for(shard_, std::chrono::milliseconds(50));
  }
}

}  // namespace paceline::broker
