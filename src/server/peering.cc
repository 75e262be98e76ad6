#include "server/peering.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace paceline::server {
namespace {

constexpr env::Duration kLookUpAgain = std::chrono::seconds(1);
constexpr env::Duration kFirstPause = std::chrono::milliseconds(20);
constexpr env::Duration kPauseMax = std::chrono::seconds(1);
// When it is told that a death is noticed and nobody can take over: a store that stands still lets
// a first attempt wait for three of its time-outs.
constexpr env::Duration kFencedWithin = std::chrono::seconds(2);
// A fence takes a few milliseconds. Where it takes longer, an old answer is better than none.
constexpr env::Duration kDecidedWithin = std::chrono::milliseconds(250);
constexpr env::Duration kDoubtAgain = std::chrono::seconds(5);  // of the same broker

// Tells once that a death is noticed and not decided yet: when an attempt has failed, or in time.
class NotFenced {
 public:
  NotFenced(env::Shard& shard, const EventSink& events, Lane lane)
      : shard_(shard), events_(events), lane_(lane) {
    timer_ = shard.run_at(shard.now() + kFencedWithin,
                          [this] { tell("the metadata store does not answer"); });
  }
  NotFenced(const NotFenced&) = delete;
  NotFenced& operator=(const NotFenced&) = delete;
  ~NotFenced() { shard_.cancel_timer(timer_); }
  void tell(const std::string& reason) {
    if (std::exchange(told_, true)) return;
    log_warn("broker {} is dead and not fenced: {}", lane_.to_string(), reason);
    events_(Event(Event::Plane::control, "broker.not_fenced")
                .caused_by(lane_.to_string())
                .about(lane_)
                .with("reason", reason));
  }

 private:
  env::Shard& shard_;
  const EventSink& events_;
  const Lane lane_;
  env::Shard::TimerId timer_;
  bool told_ = false;
};

}  // namespace

Peering::Peering(env::Shard& shard, cluster::Cluster& cluster, EventSink events,
                 std::unique_ptr<peer::Peers> peers, AddressesHeard heard)
    : shard_(shard),
      cluster_(cluster),
      events_(std::move(events)),
      peers_(std::move(peers)),
      heard_(std::move(heard)),
      doubts_event_(shard),
      stop_(shard),
      background_(shard) {
  peers_->on_event([this](const peer::PeerEvent& event) { note(event); });
  peers_->on_dead([this](const peer::Notice& notice) {
    if (!stopping_) shard_.spawn(fence(notice, background_.enter()));
  });
  peers_->on_call([this](Lane from, Slice body) { return serve(from, std::move(body)); });
}

bool Peering::knows(Lane lane) const {
  const auto found = known_.find(lane.broker);
  return found != known_.end() && found->second.lane == lane;
}

void Peering::follow(const cluster::Image& image) {
  if (stopping_) return;
  std::map<BrokerId, Known> before = std::exchange(known_, {});
  bool changed = false;
  std::vector<Lane> added;
  for (const cluster::BrokerImage& broker : image.brokers) {
    const Lane lane{broker.id, broker.incarnation};
    if (broker.id == cluster_.lane().broker || !broker.peer) continue;
    auto old = before.extract(broker.id);
    if (old && old.mapped().lane == lane) {
      known_.insert(std::move(old));
      continue;
    }
    changed |= static_cast<bool>(old);
    known_.emplace(broker.id, Known{lane, *broker.peer, {}, {}});
    added.push_back(lane);
  }
  if (changed || !before.empty()) tell_addresses();
  if (std::erase_if(doubts_, [this](const auto& one) { return !knows(one.first); }) > 0)
    tell_doubts();
  for (const Lane& lane : added) shard_.spawn(look_up(lane, background_.enter()));
}

// A name is looked up while all is well: at the moment of a death there is no time for it. One with
// several addresses is connected to by name, because not all of them need lead there.
Task<void> Peering::look_up(Lane lane, env::Gate::Pass) {
  while (!stopping_ && knows(lane)) {
    const meta::Endpoint at = known_.at(lane.broker).at;
    const auto numbers = co_await shard_.network().look_up(at.host);
    if (stopping_ || !knows(lane)) co_return;
    Known& known = known_.at(lane.broker);
    const bool first = !known.address;
    if (numbers)
      for (const std::string& number : *numbers) known.numbers.push_back({number, at.port});
    if (first)
      known.address =
          known.numbers.size() == 1 ? known.numbers.front() : peer::Address{at.host, at.port};
    if (first && !numbers) log_warn("broker {}: {}", lane.to_string(), numbers.error().message);
    if (first || numbers) tell_addresses();
    if (numbers) co_return;
    co_await stop_.wait_until(shard_.now() + kLookUpAgain);
  }
}

void Peering::tell_addresses() {
  std::vector<peer::Peer> living;
  std::vector<peer::Address> numbers;
  for (const auto& [id, known] : known_) {
    if (known.address) living.push_back({known.lane, *known.address});
    numbers.insert(numbers.end(), known.numbers.begin(), known.numbers.end());
  }
  peers_->set_living(std::move(living));
  if (heard_) heard_(numbers);
}

void Peering::note(const peer::PeerEvent& event) {
  using enum peer::PeerEvent::Kind;
  Event told = Event(Event::Plane::control, peer::event_name(event.kind))
                   .about(event.peer)
                   .with("words", event.words);
  // Part of what becomes of that lane, perhaps.
  if (event.kind == disconnected || event.kind == silent_unconfirmed || event.kind == recovered ||
      event.kind == leaving)
    told.cause = event.peer.to_string();
  told.routine = told.cause.empty();
  events_(std::move(told));
  if (event.kind == disconnected) doubt(event.peer);
  if (event.kind == connected || event.kind == recovered || event.kind == leaving)
    doubt_no_more(event.peer);
}

// A connection that breaks again and again keeps nobody waiting each time.
void Peering::doubt(Lane lane) {
  if (stopping_ || !knows(lane)) return;
  const env::Instant now = shard_.now();
  const auto [place, first] = doubts_.try_emplace(lane, now + kDecidedWithin);
  if (!first && now >= place->second + kDoubtAgain) place->second = now + kDecidedWithin;
  tell_doubts();
}

void Peering::doubt_no_more(Lane lane) {
  const auto found = doubts_.find(lane);
  if (found == doubts_.end()) return;
  found->second = std::min(found->second, shard_.now());
  tell_doubts();
}

void Peering::tell_doubts() {
  env::Instant last;
  for (const auto& [lane, until] : doubts_) last = std::max(last, until);
  doubtful_until_ = last;
  doubts_event_.notify_all();
}

Task<void> Peering::decided(env::Shard& home) {
  if (home.now() >= doubtful_until_.load()) co_return;
  auto waiting = [this] { return wait_decided(background_.enter()); };
  co_await env::call_on(shard_, home, std::move(waiting));
}

Task<void> Peering::wait_decided(env::Gate::Pass) {
  while (!stopping_ && shard_.now() < doubtful_until_.load())
    co_await doubts_event_.wait_until(doubtful_until_.load());
}

bool Peering::believed_dead(Lane lane) const {
  return knows(lane) && std::ranges::any_of(peers_->health(), [&](const peer::PeerHealth& one) {
           return one.peer == lane && one.state == peer::PeerHealth::State::dead;
         });
}

// Who may be dead as well, and would only pass on what it is left: several die at once, and their
// connections break before anybody is sure.
std::vector<BrokerId> Peering::doubtful() const {
  using enum peer::PeerHealth::State;
  std::vector<BrokerId> all;
  for (const peer::PeerHealth& one : peers_->health())
    if (one.state != unheard && (one.state != healthy || !one.connected))
      all.push_back(one.peer.broker);
  return all;
}

// All who notice a death do this; the transaction decides who was first. While the metadata store
// does not answer it is tried again, unless the dead one is heard; the lease goes on beside.
Task<void> Peering::fence(peer::Notice notice, env::Gate::Pass) {
  const Lane lane = notice.peer;
  const env::Instant noticed = shard_.now();
  tell_noticed(notice);
  doubt(lane);
  NotFenced not_fenced(shard_, events_, lane);
  uint32_t attempts = 1;
  for (env::Duration pause = kFirstPause;; pause = std::min(2 * pause, kPauseMax), ++attempts) {
    const auto fenced = co_await cluster_.fence(shard_, lane, doubtful());
    if (fenced && fenced->by_us)
      events_(Event(Event::Plane::control, "broker.fenced")
                  .caused_by(lane.to_string())
                  .about(lane)
                  .took(shard_.now() - noticed)
                  .with("revision", fenced->at.value)
                  .with("successors", fenced->successors)
                  .with("attempts", attempts));
    if (fenced) co_return;
    not_fenced.tell(fenced.error().message);
    if (!stopping_) co_await stop_.wait_until(shard_.now() + pause);
    if (stopping_ || !believed_dead(lane)) co_return;
  }
}

void Peering::tell_noticed(const peer::Notice& notice) const {
  Event event = Event(Event::Plane::control, "broker.noticed")
                    .caused_by(notice.peer.to_string())
                    .about(notice.peer)
                    .with("evidence", peer::evidence_name(notice.evidence))
                    .with("words", notice.words);
  if (notice.silent_for.count() > 0) event.took_ns = notice.silent_for.count();
  if (notice.confirmed_by) event.add("confirmed_by", notice.confirmed_by->value);
  if (notice.exit_status) event.add("exit_status", *notice.exit_status);
  events_(std::move(event));
}

Task<Result<Slice>> Peering::call(env::Shard& home, BrokerId to, Slice body,
                                  env::Instant deadline) {
  auto calling = [this, to, moved = std::move(body), deadline] {
    return peers_->call(to, moved, deadline);
  };
  co_return co_await env::call_on(shard_, home, std::move(calling));
}

Task<Result<Slice>> Peering::serve(Lane from, Slice body) {
  if (!serve_) co_return fail(Code::unavailable, "no calls are served here now");
  co_return co_await serve_(from, std::move(body));
}

Task<void> Peering::stop() {
  stopping_ = true;
  stop_.notify_all();
  doubts_.clear();
  tell_doubts();
  co_await peers_->stop();
  co_await background_.wait_empty();
  if (heard_) heard_({});  // an end from here on is the planned one
}

}  // namespace paceline::server
