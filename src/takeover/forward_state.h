#pragma once

#include <array>
#include <cstdint>
#include <string_view>

// One moment of the model of forwarding.

namespace paceline::takeover::forward {

inline constexpr int kBrokersMax = 3;
inline constexpr int kValuesMax = 3;
inline constexpr int kInFlightMax = 2;
inline constexpr int kLogMax = 8;
inline constexpr int kLateMax = 3;

// One produce request, on the connection on which its producer has sent it.
struct Request {
  enum Place : uint8_t {
    none,
    sent,
    waiting,    // at a broker that has paused
    forwarded,  // on its way to the target
    held,       // at a target that has paused
    served,     // the target's answer is on its way to the source
    answered,   // the source's answer is on its way to the producer
  };
  Place place = none;
  uint8_t value = 0;
  uint8_t attempt = 0;  // from 1
  uint8_t refused = 0;  // the answer: certainly not stored
  uint8_t target_1 = 0;
  uint8_t epoch = 0;  // of the term that it was forwarded for
  uint8_t early = 0;  // only where the rule "forward after commit" is left out
};

// A forwarded request that nobody waits for any more.
struct Late {
  uint8_t value = 0;
  uint8_t attempt = 0;
  uint8_t target_1 = 0;
  uint8_t epoch = 0;
  uint8_t expired = 0;
};

struct Broker {
  uint8_t epoch = 0;  // of the term that it serves, or believes to serve
  uint8_t paused = 0;
  uint8_t fenced = 0;
  uint8_t forwards_to_1 = 0;
  uint8_t forward_epoch = 0;
};

using Connection = std::array<Request, kInFlightMax>;  // in the order in which they were sent

enum class Fault : uint8_t {
  none,
  stored_twice,
  out_of_order,
  overtaken,
  acknowledged_is_not_there,
  refused_is_there,
  late,
};

struct State {
  uint8_t leader = 0;
  uint8_t epoch = 1;
  uint8_t known = 0;  // the leader, as the producer knows
  std::array<Broker, kBrokersMax> brokers{};
  std::array<Connection, kBrokersMax> connections{};
  std::array<uint8_t, kBrokersMax> generation{};  // of a connection
  std::array<Late, kLateMax> late{};
  std::array<uint8_t, kLogMax> log{};
  // Of each value: how often it was sent, a bit for each attempt that was stored, and refused; the
  // connection of the first attempt; whether it is acknowledged.
  std::array<uint8_t, kValuesMax + 1> attempts{};
  std::array<uint8_t, kValuesMax + 1> stored{};
  std::array<uint8_t, kValuesMax + 1> refused{};
  std::array<uint8_t, kValuesMax + 1> first_way{};
  std::array<uint8_t, kValuesMax + 1> acknowledged{};
  uint8_t moves = 0;
  uint8_t fences = 0;
  uint8_t cuts = 0;
  uint8_t timeouts = 0;
  Fault fault = Fault::none;
};

struct World {
  const struct paceline::takeover::ForwardBudget& budget;
  const class paceline::takeover::Rules& rules;
};

std::string_view sentence(Fault fault);

// Steps: as in steps.h, each changes the state and returns true, or cannot be taken. `place` is the
// index of a request on its connection.
bool send(World, State&);
bool refresh(World, State&);
bool read_request(World, State&, int broker, int place);
bool forward_waiting(World, State&, int broker, int place);  // only where a rule is left out
bool read_forwarded(World, State&, int source, int place);
bool relay(World, State&, int source, int place);
bool take_answer(World, State&, int broker);
bool cut_pipe(World, State&, int source);
bool time_out(World, State&, int broker);
bool late_arrives(World, State&);
bool late_is_lost(World, State&);
bool pause(World, State&, int broker);
bool forward_early(World, State&, int broker, int target);  // only where the rule is left out
bool hand_over(World, State&, int broker, int target);
bool go_on(World, State&, int broker);
bool release(World, State&, int broker);
bool stop_forwarding(World, State&, int broker);
bool fence(World, State&, int broker);
bool fence_another(World, State&, int broker);
bool notice(World, State&, int broker);

}  // namespace paceline::takeover::forward
