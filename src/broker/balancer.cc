#include "broker/balancer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "broker/errors.h"
#include "broker/node.h"

namespace paceline::broker {
namespace {

// Who has just come or gone leaves others to settle it.
constexpr env::Duration kSettle = std::chrono::seconds(1);
constexpr env::Duration kAnswerWithin = std::chrono::seconds(2);
// Of one round. Another one follows at once if they were not enough.
constexpr size_t kMovesMax = 1024;
// Below this load of a broker, the number of partitions counts more than it.
constexpr double kLightLoad = 1 << 20;

uint32_t ppm(double share) {
  return static_cast<uint32_t>(std::clamp(share, 0.0, 1.0) * 1e6 + 0.5);
}

// Who is registered, and in which lives.
std::vector<Lane> lives(const cluster::Image& image) {
  std::vector<Lane> all;
  for (const cluster::BrokerImage& broker : image.brokers)
    all.push_back({broker.id, broker.incarnation});
  return all;
}

std::string name_of(const cluster::Image& image, const StreamId& stream) {
  const cluster::TopicImage* topic = image.topic(stream.owner);
  return fmt::format("{}-{}", topic ? topic->name : stream.owner.to_string(), stream.index);
}

BalanceAnswer refused(KafkaError error, std::string message) {
  BalanceAnswer answer;
  answer.error = error;
  answer.message = std::move(message);
  return answer;
}

}  // namespace

// What is carried out of one plan.
struct Balancer::Round {
  const Plan& plan;
  size_t moved = 0;
  bool goes_on = true;  // false: what is due is not as it was when it was planned
};

// Those that did not do what they were asked for, and why the last of them.
struct Balancer::Failures {
  std::set<StreamId> streams;
  std::string why;

  void note(const std::vector<StreamId>& asked, const Result<std::vector<Outcome>>& told) {
    for (size_t i = 0; i < asked.size(); ++i) {
      if (told && i < told->size() && (*told)[i].error == KafkaError::none) continue;
      streams.insert(asked[i]);
      if (!told)
        why = told.error().message;
      else
        why = i < told->size() ? (*told)[i].message : "no answer";
    }
  }
};

Balancer::Balancer(Node& node, env::Shard& shard)
    : node_(node),
      shard_(shard),
      wake_(shard),
      background_(shard),
      book_(std::make_shared<BalanceBook>(
          std::chrono::milliseconds(node.settings().balance_hold_ms))) {}

env::Duration Balancer::interval() const {
  return std::chrono::milliseconds(node_.settings().balance_interval_ms);
}

bool Balancer::is_ours(const cluster::Image& image) const {
  return !image.brokers.empty() && image.brokers.front().id == node_.settings().broker;
}

// Loads are looked at in any case, so that who asks for a plan is told what is served now.
Task<void> Balancer::run() {
  std::vector<Lane> living;
  env::Instant next = shard_.now() + kSettle;
  while (!node_.stopping()) {
    const auto image = node_.image();
    if (auto now = lives(*image); now != living) {
      living = std::move(now);
      next = std::min(next, shard_.now() + kSettle);
      next = std::max(next, shard_.now() + kSettle);
    }
    if (shard_.now() < next) {
      co_await wake_.wait_until(next);
      continue;
    }
    next = shard_.now() + interval();
    if (!is_ours(*image) || living.size() < 2 || doing_) continue;
    auto made = co_await plan(false);
    const std::string reason = made ? "" : made.error().message;
    if (!made && reason != last_reason_) log_info("nothing is balanced now: {}", reason);
    last_reason_ = reason;
    if (!made) next = std::min(next, shard_.now() + kSettle);
    if (!made || made->moves.empty() || !node_.settings().balance) continue;
    const bool enough = made->moves.size() < kMovesMax;
    doing_ = true;
    co_await carry_out(std::move(*made));
    if (!enough) next = shard_.now();
  }
  co_await background_.wait_empty();
}

Task<BalanceAnswer> Balancer::balance(bool dry_run) {
  if (!is_ours(*node_.image()))
    co_return refused(KafkaError::not_controller, "another broker balances by now");
  if (doing_ && !dry_run)
    co_return refused(KafkaError::reassignment_in_progress, "moves of a plan are being made");
  auto made = co_await plan(true);
  if (!made) co_return refused(KafkaError::operation_not_attempted, made.error().message);
  BalanceAnswer answer;
  answer.balancer = node_.settings().broker;
  for (const cluster::BalanceShare& one : made->shares)
    answer.shares.push_back({one.broker, static_cast<uint32_t>(one.leaders),
                             static_cast<uint64_t>(one.load), ppm(one.share), ppm(one.due),
                             made->drained.contains(one.broker)});
  for (const cluster::BalanceMove& one : made->moves)
    answer.moves.push_back({one.stream, one.from, one.to, one.reason});
  if (dry_run || made->moves.empty()) co_return answer;
  if (doing_)
    co_return refused(KafkaError::reassignment_in_progress, "moves of a plan are being made");
  doing_ = true;
  shard_.spawn(carry_out_later(this, std::move(*made), background_.enter()));
  co_return answer;
}

Task<Result<Balancer::Plan>> Balancer::plan(bool on_demand) {
  while (planning_ && !node_.stopping()) co_await wake_.wait_until(shard_.now() + kSettle);
  if (node_.stopping()) co_return fail(Code::closed, "this broker stops");
  planning_ = true;
  const auto image = node_.image();
  auto asked = co_await ask_all(*image);
  if (asked && lives(*node_.image()) != lives(*image))
    asked = fail(Code::conflict, "brokers come or go");
  if (!asked) {
    planning_ = false;
    wake_.notify_all();
    co_return fail(std::move(asked).error());
  }
  std::vector<StreamLoad> loads;
  std::set<BrokerId> drained;
  for (const Asked& one : *asked) {
    loads.insert(loads.end(), one.answer->loads.begin(), one.answer->loads.end());
    if (one.answer->condition == Condition::drained) drained.insert(one.broker);
  }
  Plan made = co_await compute(image, std::move(drained), std::move(loads), on_demand);
  planning_ = false;
  wake_.notify_all();
  co_return made;
}

Task<Result<std::vector<Balancer::Asked>>> Balancer::ask_all(const cluster::Image& image) {
  std::vector<Asked> all;
  for (const cluster::BrokerImage& broker : image.brokers) all.push_back({broker.id});
  env::Gate asking(shard_);
  for (Asked& one : all) shard_.spawn(ask_one(this, &one, asking.enter()));
  co_await asking.wait_empty();
  for (const Asked& one : all) {
    const int32_t id = one.broker.value;
    if (!one.answer)
      co_return fail(Code::unavailable, fmt::format("broker {} does not say what it serves: {}", id,
                                                    one.answer.error().message));
    if (one.answer->condition == Condition::taking_over)
      co_return fail(Code::conflict, fmt::format("broker {} takes over from a dead one", id));
    if (one.answer->condition == Condition::going)
      co_return fail(Code::conflict, fmt::format("broker {} gives away what it leads", id));
  }
  co_return all;
}

Task<void> Balancer::ask_one(Balancer* balancer, Asked* asked, env::Gate::Pass) {
  co_await balancer->ask(asked);
}

Task<void> Balancer::ask(Asked* asked) {
  if (asked->broker == node_.settings().broker) {
    asked->answer = co_await node_.load();
    co_return;
  }
  if (!node_.calls()) co_return;
  Slice body = encode(PeerRequest(LoadRequest{}));
  auto answer = co_await node_.calls()->call(shard_, asked->broker, std::move(body),
                                             shard_.now() + kAnswerWithin);
  asked->answer = answer ? decode_load_answer(*answer) : fail(std::move(answer).error());
}

// On a thread that may block: a thousand moves of a hundred thousand partitions take up to 0.2 s
// (cluster/balance_bench.cc).
Task<Balancer::Plan> Balancer::compute(std::shared_ptr<const cluster::Image> image,
                                       std::set<BrokerId> drained, std::vector<StreamLoad> loads,
                                       bool on_demand) {
  cluster::BalanceBounds bounds{node_.settings().balance_tolerance, kMovesMax, kLightLoad};
  auto work = [image, drained, loads = std::move(loads), bounds, on_demand, book = book_,
               now = shard_.now()] {
    book->follow(image, now);
    book->observe(loads);
    std::vector<cluster::BalanceBroker> brokers;
    for (const cluster::BrokerImage& one : image->brokers)
      brokers.push_back({one.id, one.rack, drained.contains(one.id) ? 0u : 1u});
    auto partitions = book->partitions(now);
    if (on_demand)
      for (cluster::BalancePartition& one : partitions) one.may_level = true;
    Plan made;
    made.image = image;
    made.drained = drained;
    made.shares = cluster::balance_shares(brokers, partitions, bounds);
    made.moves = cluster::plan_balance(brokers, partitions, bounds);
    return made;
  };
  const env::Instant began = shard_.now();
  Plan made = co_await env::offload(shard_, std::move(work));
  made.took = shard_.now() - began;
  co_return made;
}

Task<void> Balancer::carry_out_later(Balancer* balancer, Plan plan, env::Gate::Pass) {
  co_await balancer->carry_out(std::move(plan));
}

// Some partitions of one way at a time, of different leaders at once: whoever has more than it can
// carry takes seconds for each word.
Task<void> Balancer::carry_out(Plan plan) {
  ++rounds_;
  std::map<BrokerId, std::map<BrokerId, Moves>> sources;
  for (const cluster::BalanceMove& move : plan.moves) sources[move.from][move.to].push_back(&move);
  Round round{plan};
  env::Gate giving(shard_);
  for (const auto& [from, targets] : sources)
    shard_.spawn(give_away(this, &round, from, &targets, giving.enter()));
  co_await giving.wait_empty();
  log_info("balance: {} of {} planned moves are made; the plan took {} ms", round.moved,
           plan.moves.size(),
           std::chrono::duration_cast<std::chrono::milliseconds>(plan.took).count());
  doing_ = false;
  wake_.notify_all();
}

Task<void> Balancer::give_away(Balancer* balancer, Round* round, BrokerId from,
                               const std::map<BrokerId, Moves>* targets, env::Gate::Pass) {
  for (const auto& [to, all] : *targets)
    for (size_t begin = 0; begin < all.size(); begin += kMovesPerCall) {
      // Whoever comes or goes changes what is due to all; who is drained meanwhile stays so.
      Asked target{to};
      co_await balancer->ask(&target);
      round->goes_on = round->goes_on && target.answer &&
                       target.answer->condition == Condition::ready &&
                       !balancer->node_.stopping() &&
                       lives(*balancer->node_.image()) == lives(*round->plan.image);
      if (!round->goes_on) co_return;
      const size_t end = std::min(begin + kMovesPerCall, all.size());
      round->moved +=
          co_await balancer->carry_out_some({from, to},
                                            Moves(all.begin() + static_cast<ptrdiff_t>(begin),
                                                  all.begin() + static_cast<ptrdiff_t>(end)),
                                            *round->plan.image);
    }
}

// First what is preferred from now on, so that nothing moves back.
Task<size_t> Balancer::carry_out_some(Way way, Moves moves, const cluster::Image& image) {
  const env::Instant began = shard_.now();
  const auto [from, to] = way;
  PreferRequest prefer;
  std::vector<StreamId> asked;
  for (const cluster::BalanceMove* move : moves) {
    const cluster::TopicImage* topic = image.topic(move->stream.owner);
    if (topic->partitions[move->stream.index].preferred == move->preferred) continue;
    prefer.preferences.push_back({move->stream, move->preferred});
    asked.push_back(move->stream);
  }
  Failures failures;
  if (!asked.empty())
    failures.note(asked, co_await node_.ask(shard_, from, PeerRequest(std::move(prefer))));
  MoveRequest request{to, {}};
  for (const cluster::BalanceMove* move : moves)
    if (!failures.streams.contains(move->stream)) request.streams.push_back(move->stream);
  asked = request.streams;
  if (!asked.empty())
    failures.note(asked, co_await node_.ask(shard_, from, PeerRequest(std::move(request))));
  // What cannot move now is not asked again at once.
  while (planning_ && !node_.stopping()) co_await wake_.wait_until(shard_.now() + kSettle);
  for (const StreamId& stream : failures.streams) book_->hold(stream, shard_.now());
  tell(way, moves, image, failures, shard_.now() - began);
  co_return moves.size() - failures.streams.size();
}

void Balancer::tell(Way way, const Moves& moves, const cluster::Image& image,
                    const Failures& failures, env::Duration took) const {
  const size_t stay = failures.streams.size();
  const cluster::BalanceMove& first = *moves.front();
  Event event =
      Event(Event::Plane::control, "balance.moved")
          .caused_by(fmt::format("balance-{}-{}", node_.cluster().lane().to_string(), rounds_))
          .took(took)
          .with("partitions", moves.size() - stay)
          .with("partitions_left", stay)
          .with("from", std::to_string(way.first.value))
          .with("to", std::to_string(way.second.value))
          .with("first", name_of(image, first.stream))
          .with("reason", first.reason);
  if (stay > 0) event.add("left_because", failures.why);
  node_.surroundings().event(std::move(event));
}

}  // namespace paceline::broker
