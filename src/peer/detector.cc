#include "peer/detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace paceline::peer {
namespace {

// Guardians' words are kept for brokers that we do not know yet: a registration may be followed
// later than it is over. A bound against senseless ids.
constexpr size_t kEndedMax = 4096;
constexpr size_t kWitnessesMax = 5;  // asked at once

int64_t ms(env::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// In the words of waitpid(), without its macros: they are the real world's.
std::string status_words(int32_t status) {
  if (status == kStatusNotYet || status == kStatusUnplanned) return "";
  const int signal = status & 0x7f;
  if (signal != 0) return fmt::format(" by signal {}", signal);
  return fmt::format(" with status {}", (status >> 8) & 0xff);
}

}  // namespace

Detector::Detector(Lane self, Bounds bounds, env::Instant now)
    : self_(self), bounds_(bounds), tick_due_(now + tick_every()) {}

std::vector<Detector::Action> Detector::step(env::Instant now, const Event& event) {
  note_time(now);
  std::visit([&](const auto& one) { on(now, one); }, event);
  return std::exchange(actions_, {});
}

// Before anything else is judged: what came while we slept may be seen before the tick.
void Detector::note_time(env::Instant now) {
  if (now <= tick_due_ + bounds_.late_after) return;
  tell(PeerEvent::Kind::slept, self_,
       fmt::format("our own loop was {} ms late: silence is measured anew", ms(now - tick_due_)));
  tick_due_ = now + tick_every();
  asked_.clear();
  for (auto& [id, peer] : peers_) {
    peer.measured_from = now;
    peer.silent = false;
  }
}

Detector::Known* Detector::find(Lane lane) {
  const auto found = peers_.find(lane.broker);
  return found != peers_.end() && found->second.lane == lane ? &found->second : nullptr;
}

void Detector::on(env::Instant now, const Living& event) {
  std::map<BrokerId, Known> before = std::exchange(peers_, {});
  for (const Lane& lane : event.peers) {
    if (lane.broker == self_.broker) continue;
    auto old = before.extract(lane.broker);
    if (old && old.mapped().lane == lane) {
      peers_.insert(std::move(old));
      continue;
    }
    Known& added = peers_[lane.broker];
    added.lane = lane;
    added.measured_from = now;
  }
  std::erase_if(asked_, [&](const auto& one) { return !find(one.second.about); });
  for (auto& [id, peer] : peers_) {
    const auto end = ended_.find(id);
    if (end != ended_.end() && end->second.incarnation == peer.lane.incarnation)
      guardian_said(now, peer, end->second.status);
  }
}

void Detector::on(env::Instant now, const Reached& event) {
  Known* peer = find(event.peer);
  if (!peer) return;
  hear(now, *peer);
  if (!peer->open) tell(PeerEvent::Kind::connected, peer->lane, "it answers at its address");
  peer->open = true;
  peer->was_reached = true;
  peer->refused = false;
}

void Detector::on(env::Instant now, const Unreached& event) {
  Known* peer = find(event.peer);
  if (!peer || !peer->open) return;
  peer->open = false;
  if (!peer->leaving && !peer->dead)
    tell(PeerEvent::Kind::disconnected, peer->lane,
         fmt::format("the connection broke; it was heard {} ms before", ms(now - peer->heard_at)));
  judge_refusal(now, *peer);
}

void Detector::on(env::Instant now, const Refused& event) {
  Known* peer = find(event.peer);
  if (!peer) return;
  peer->refused = true;
  judge_refusal(now, *peer);
}

void Detector::on(env::Instant now, const Came& event) {
  ++came_[event.peer];
  if (Known* peer = find(event.peer)) hear(now, *peer);
}

void Detector::on(env::Instant now, const Went& event) {
  const auto count = came_.find(event.peer);
  if (count != came_.end() && --count->second == 0) came_.erase(count);
  if (Known* peer = find(event.peer)) judge_refusal(now, *peer);
}

void Detector::on(env::Instant now, const Heard& event) {
  if (Known* peer = find(event.peer)) hear(now, *peer);
}

void Detector::on(env::Instant, const SaidGoodbye& event) {
  Known* peer = find(event.peer);
  if (!peer || peer->leaving) return;
  peer->leaving = true;
  peer->silent = false;
  forget_questions(peer->lane);
  tell(PeerEvent::Kind::leaving, peer->lane, "it said goodbye: a planned stop");
}

void Detector::on(env::Instant now, const GuardianSaid& event) {
  if (Known* peer = find(event.peer)) guardian_said(now, *peer, event.status);
  if (!ended_.contains(event.peer.broker) && ended_.size() >= kEndedMax) return;
  End& end = ended_[event.peer.broker];
  if (event.peer.incarnation >= end.incarnation) end = {event.peer.incarnation, event.status};
}

void Detector::on(env::Instant now, const Met& event) {
  const auto known = peers_.find(event.found.broker);
  if (known == peers_.end()) return;
  Known& peer = known->second;
  if (event.found.incarnation <= peer.lane.incarnation || peer.dead_for_good) return;
  peer.dead_for_good = true;
  notify(now, peer, Evidence::replaced,
         fmt::format("incarnation {} of it answers", event.found.incarnation.value));
}

void Detector::on(env::Instant now, const Tick&) {
  tick_due_ = now + tick_every();
  for (auto& [id, peer] : peers_) judge_silence(now, peer);
}

void Detector::hear(env::Instant now, Known& peer) {
  if (peer.dead_for_good || peer.leaving) return;
  if (peer.silent || peer.dead || peer.told)
    tell(PeerEvent::Kind::recovered, peer.lane,
         fmt::format("heard again after {} ms", ms(now - peer.heard_at)));
  if (peer.silent) forget_questions(peer.lane);
  peer.silent = peer.dead = peer.told = false;
  peer.was_heard = true;
  peer.heard_at = peer.measured_from = now;
}

void Detector::judge_refusal(env::Instant now, Known& peer) {
  if (!peer.refused || !peer.was_reached || peer.leaving || peer.dead) return;
  const bool stands = peer.open || came_.contains(peer.lane);
  if (stands && !peer.silent) return;
  notify(
      now, peer, Evidence::refused,
      fmt::format("its connection {} and a new one was refused", stands ? "is silent" : "broke"));
}

void Detector::judge_silence(env::Instant now, Known& peer) {
  if (peer.dead || peer.leaving || !peer.was_heard) return;
  if (now - peer.measured_from < bounds_.silent_after) return;
  if (!peer.silent) {
    peer.silent = true;
    peer.silent_at = peer.ask_next = now;
    peer.asked_rounds = 0;
    actions_.push_back(Redial{peer.lane});
    judge_refusal(now, peer);
    if (peer.dead) return;
  }
  if (now >= peer.ask_next) ask_witnesses(now, peer);
  if (now - peer.silent_at >= bounds_.confirm_after)
    tell_unconfirmed(peer, "no broker that was asked has answered");
}

// Those who are well, a few at a time, by turns.
void Detector::ask_witnesses(env::Instant now, Known& peer) {
  peer.ask_next = now + std::max(bounds_.ping_every, bounds_.confirm_after);
  std::vector<Lane> witnesses;
  for (const auto& [id, other] : peers_)
    if (id != peer.lane.broker && other.open && !other.dead && !other.silent && !other.leaving)
      witnesses.push_back(other.lane);
  if (witnesses.empty()) {
    tell_unconfirmed(peer, peers_.size() < 2 ? "there is no other broker to ask"
                                             : "no other broker can be asked");
    return;
  }
  const size_t count = std::min(kWitnessesMax, witnesses.size());
  const size_t first = peer.asked_rounds++ * count;
  for (size_t i = 0; i < count; ++i) {
    const Lane witness = witnesses[(first + i) % witnesses.size()];
    asked_[++last_question_] = {witness, peer.lane, now};
    actions_.push_back(Ask{last_question_, witness, peer.lane});
  }
}

void Detector::on(env::Instant now, const Answered& event) {
  const auto found = asked_.find(event.question);
  if (found == asked_.end() || found->second.witness != event.witness) return;
  auto question = asked_.extract(found);
  const Asked& asked = question.mapped();
  Known* peer = find(asked.about);
  // What was true long ago proves nothing of today.
  if (!peer || peer->dead || !peer->silent || now - asked.at >= bounds_.silent_after) return;
  const auto witness = asked.witness.broker;
  if (!event.hearsay.heard_ago) {
    tell_unconfirmed(*peer, fmt::format("broker {} never heard it", witness.value));
    return;
  }
  const env::Duration ago = *event.hearsay.heard_ago;
  if (ago < bounds_.confirm_after) {
    tell_unconfirmed(*peer, fmt::format("broker {} heard it {} ms before", witness.value, ms(ago)));
    // The same witness may confirm then, at the earliest.
    peer->ask_next =
        std::min(peer->ask_next, now + std::max(bounds_.ping_every, bounds_.confirm_after - ago));
    return;
  }
  notify(now, *peer, Evidence::silent,
         fmt::format("nothing heard for {} ms, and broker {} has heard nothing for {} ms",
                     ms(now - peer->measured_from), witness.value, ms(ago)));
  std::get<Notice>(actions_.back()).confirmed_by = witness;
}

void Detector::guardian_said(env::Instant now, Known& peer, int32_t status) {
  if (peer.dead_for_good) return;
  // Whether a planned stop went as planned is known with its status: that is told next.
  if (peer.leaving && status == kStatusNotYet) return;
  peer.dead_for_good = true;
  if (peer.leaving && status == 0) {
    peer.dead = true;
    tell(PeerEvent::Kind::leaving, peer.lane, "its guardian says that it ended as planned");
    return;
  }
  notify(now, peer, Evidence::told_by_guardian,
         fmt::format("its guardian says that it has ended{}", status_words(status)));
  if (status != kStatusNotYet && status != kStatusUnplanned)
    std::get<Notice>(actions_.back()).exit_status = status;
}

void Detector::forget_questions(Lane about) {
  std::erase_if(asked_, [&](const auto& one) { return one.second.about == about; });
}

void Detector::tell(PeerEvent::Kind kind, Lane peer, std::string words) {
  actions_.push_back(PeerEvent{kind, peer, std::move(words)});
}

void Detector::tell_unconfirmed(Known& peer, std::string why) {
  if (std::exchange(peer.told, true)) return;
  tell(PeerEvent::Kind::silent_unconfirmed, peer.lane, std::move(why));
}

void Detector::notify(env::Instant now, Known& peer, Evidence evidence, std::string words) {
  peer.dead = true;
  forget_questions(peer.lane);
  Notice notice{.peer = peer.lane, .evidence = evidence, .words = std::move(words)};
  if (peer.was_heard) notice.silent_for = now - peer.heard_at;
  actions_.push_back(std::move(notice));
}

Hearsay Detector::hearsay(env::Instant now, Lane about) {
  note_time(now);
  const Known* peer = find(about);
  if (!peer || !peer->was_heard) return {};
  return {now - peer->measured_from};
}

std::optional<Incarnation> Detector::living(BrokerId broker) const {
  const auto found = peers_.find(broker);
  if (found == peers_.end()) return std::nullopt;
  return found->second.lane.incarnation;
}

bool Detector::silent(BrokerId broker) const {
  const auto found = peers_.find(broker);
  return found != peers_.end() && found->second.silent;
}

std::vector<PeerHealth> Detector::health(env::Instant now) const {
  using State = PeerHealth::State;
  std::vector<PeerHealth> all;
  for (const auto& [id, peer] : peers_) {
    PeerHealth& one = all.emplace_back(PeerHealth{.peer = peer.lane});
    one.state = peer.dead        ? State::dead
                : peer.leaving   ? State::leaving
                : peer.silent    ? State::silent
                : peer.was_heard ? State::healthy
                                 : State::unheard;
    one.connected = peer.open;
    if (peer.was_heard) one.heard_ago = now - peer.heard_at;
  }
  return all;
}

}  // namespace paceline::peer
