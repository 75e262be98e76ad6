#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "env/shard.h"

// What one broker learns about the life of another, and by what evidence.

namespace paceline::peer {

// When silence is evidence. A wrong guess costs a move of leadership, never data: the fence
// decides.
struct Bounds {
  env::Duration ping_every = std::chrono::milliseconds(100);
  // Nothing heard for so long is suspicious. The worst scheduling delay of a healthy process that
  // was measured is 48 ms, so this is a margin for networks, not for processes.
  env::Duration silent_after = std::chrono::seconds(1);
  // A second broker confirms that has heard nothing for so long: five pings.
  env::Duration confirm_after = std::chrono::milliseconds(500);
  // Our own loop was this late: nobody else is called silent for what passed meanwhile.
  env::Duration late_after = std::chrono::milliseconds(200);
};

enum class Evidence : uint8_t {
  refused,           // its connection broke and a new one was refused: no process there
  replaced,          // a later incarnation of it answers
  told_by_guardian,  // its guardian said that it has ended
  silent,            // nothing heard within the bound, and another broker confirms it
};
std::string_view evidence_name(Evidence evidence);

// A broker is dead by evidence. Whoever hears of it may try to fence it.
struct Notice {
  Lane peer;
  Evidence evidence = Evidence::silent;
  std::string words;                          // one sentence, with the figures
  std::optional<BrokerId> confirmed_by = {};  // of `silent`
  std::optional<int32_t> exit_status =
      {};                       // of `told_by_guardian`, as waitpid() gives it, if known
  env::Duration silent_for{0};  // since it was heard last; 0: it never was
};

// What is worth a line in the timeline but no reason to fence.
struct PeerEvent {
  enum class Kind : uint8_t {
    connected,           // it answers at its address
    disconnected,        // that connection broke
    silent_unconfirmed,  // silent, and nobody confirms: the lease decides
    recovered,           // heard again after it was silent, or after a notice
    leaving,             // it said goodbye
    slept,               // our own loop was late (peer: ourselves)
    stranger,  // a connection was refused, here or there (peer: who we meant, or were told)
  };
  Kind kind;
  Lane peer;
  std::string words;
};
std::string_view event_name(PeerEvent::Kind kind);  // a literal: "peer.connected"

// What can be shown of one peer.
struct PeerHealth {
  Lane peer;
  enum class State : uint8_t { unheard, healthy, silent, leaving, dead } state = State::unheard;
  bool connected = false;
  env::Duration heard_ago{0};
  env::Duration round_trip{0};  // of the last ping that was answered
};

}  // namespace paceline::peer
