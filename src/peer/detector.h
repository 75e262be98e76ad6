#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "peer/frame.h"
#include "peer/notice.h"

namespace paceline::peer {

// Decides who is dead, silent or well. Pure: events with their instants in, actions out; no clock,
// no socket. It knows three things of each peer: when it was heard, whether our connection to it
// stands, and how many of its connections to us stand.
//
// - A refusal counts only at an address where that very incarnation answered before, once nothing
//   of it stands or what stands is silent: an address that always refuses, or a peer that is still
//   starting, is no death.
// - Silence counts from when we listened. Whoever slept has heard nobody, and begins anew; that
//   holds for what we say as a witness, too.
// - An incarnation that was never heard is not accused of silence.
class Detector {
 public:
  // Events.
  struct Living {  // all living brokers, as the cluster's image has them, or but ourselves
    std::vector<Lane> peers;
  };
  struct Reached {  // our connection was welcomed by it
    Lane peer;
  };
  struct Unreached {  // that connection is over
    Lane peer;
  };
  struct Refused {  // a connection to its address was refused by the system there
    Lane peer;
  };
  struct Came {  // a connection of it to us begins
    Lane peer;
  };
  struct Went {
    Lane peer;
  };
  struct Heard {  // bytes of it, on any connection that stands
    Lane peer;
  };
  struct SaidGoodbye {
    Lane peer;
  };
  struct GuardianSaid {
    Lane peer;
    int32_t status;
  };
  struct Met {  // somebody says that it is this incarnation
    Lane found;
  };
  struct Answered {
    uint64_t question;
    Lane witness;
    Hearsay hearsay;
  };
  struct Tick {};
  using Event = std::variant<Living, Reached, Unreached, Refused, Came, Went, Heard, SaidGoodbye,
                             GuardianSaid, Met, Answered, Tick>;
  // Actions.
  struct Ask {
    uint64_t question;
    Lane witness;
    Lane about;
  };
  struct Redial {  // a new connection beside the silent one: its host may have forgotten that
    Lane peer;
  };
  using Action = std::variant<Notice, PeerEvent, Ask, Redial>;

  Detector(Lane self, Bounds bounds, env::Instant now);

  std::vector<Action> step(env::Instant now, const Event& event);
  // How often a Tick is due. One that is late says that we have slept.
  env::Duration tick_every() const { return bounds_.ping_every / 2; }
  // Our answer to a question.
  Hearsay hearsay(env::Instant now, Lane about);
  // The incarnation that lives, as far as we know.
  std::optional<Incarnation> living(BrokerId broker) const;
  bool silent(BrokerId broker) const;
  std::vector<PeerHealth> health(env::Instant now) const;

 private:
  struct Known {
    Lane lane;
    bool open = false;           // our connection stands
    bool was_reached = false;    // ever
    bool refused = false;        // since it was reached last
    bool was_heard = false;      // ever
    bool leaving = false;        // it said goodbye
    bool silent = false;         // past the bound
    bool told = false;           // that nobody confirms the silence
    bool dead = false;           // by evidence
    bool dead_for_good = false;  // by evidence that nothing can take back
    env::Instant heard_at{};
    env::Instant measured_from{};  // heard last, or awake since
    env::Instant silent_at{};
    env::Instant ask_next{};
    uint32_t asked_rounds = 0;
  };
  struct Asked {
    Lane witness;
    Lane about;
    env::Instant at;
  };
  struct End {
    Incarnation incarnation;
    int32_t status;
  };

  void note_time(env::Instant now);
  Known* find(Lane lane);
  void on(env::Instant now, const Living& event);
  void on(env::Instant now, const Reached& event);
  void on(env::Instant now, const Unreached& event);
  void on(env::Instant now, const Refused& event);
  void on(env::Instant now, const Came& event);
  void on(env::Instant now, const Went& event);
  void on(env::Instant now, const Heard& event);
  void on(env::Instant now, const SaidGoodbye& event);
  void on(env::Instant now, const GuardianSaid& event);
  void on(env::Instant now, const Met& event);
  void on(env::Instant now, const Answered& event);
  void on(env::Instant now, const Tick& event);

  void hear(env::Instant now, Known& peer);
  void judge_refusal(env::Instant now, Known& peer);
  void judge_silence(env::Instant now, Known& peer);
  void ask_witnesses(env::Instant now, Known& peer);
  void guardian_said(env::Instant now, Known& peer, int32_t status);
  void forget_questions(Lane about);
  void tell(PeerEvent::Kind kind, Lane peer, std::string words);
  void tell_unconfirmed(Known& peer, std::string why);
  void notify(env::Instant now, Known& peer, Evidence evidence, std::string words);

  const Lane self_;
  const Bounds bounds_;
  env::Instant tick_due_;
  std::map<BrokerId, Known> peers_;  // living ones
  std::map<Lane, uint32_t> came_;    // standing connections to us, of anybody
  std::map<BrokerId, End> ended_;    // told by guardians, also of those we do not know yet
  std::map<uint64_t, Asked> asked_;  // questions without an answer yet
  uint64_t last_question_ = 0;
  std::vector<Action> actions_;
};

}  // namespace paceline::peer
