#include <fmt/format.h>

#include "base/check.h"
#include "takeover/forward.h"
#include "takeover/forward_state.h"
#include "takeover/pack.h"

namespace paceline::takeover {
namespace forward {

std::string_view sentence(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "nothing";
    case Fault::stored_twice:
      return "one request was stored twice";
    case Fault::out_of_order:
      return "batches of an idempotent producer are not in order";
    case Fault::overtaken:
      return "a request overtook one before it on the same connection";
    case Fault::acknowledged_is_not_there:
      return "a batch was acknowledged that no log has";
    case Fault::refused_is_there:
      return "a request was refused and is stored";
    case Fault::late:
      return "a request was stored after its deadline";
  }
  return "";
}

namespace {

char name_of(int broker) {
  return static_cast<char>('A' + broker);
}

class Expansion {
 public:
  Expansion(World world, const State& now, bool with_words, const Emit& emit)
      : world_(world), now_(now), with_words_(with_words), emit_(emit) {}

  void all() {
    on(kProgress, "the producer sends its next batch", send);
    on(kProgress, "the producer learns who leads", refresh);
    on(kProgress, "a late forward arrives", late_arrives);
    on(kProgress, "a late forward is lost", late_is_lost);
    for (int broker = 0; broker < world_.budget.brokers; ++broker) {
      requests(broker);
      leadership(broker);
    }
  }

 private:
  static constexpr StepKind kProgress = StepKind::progress;
  static constexpr StepKind kDisturbance = StepKind::disturbance;

  template <class... Args>
  void on(StepKind kind, std::string_view words, bool (*step)(World, State&, Args...),
          std::type_identity_t<Args>... args) {
    State next = now_;
    if (!step(world_, next, args...)) return;
    emit_(pack_state(next), kind, with_words_ ? std::string(words) : std::string());
  }
  // `words` with the broker's name in it.
  template <class... Args>
  void by(StepKind kind, const char* words, bool (*step)(World, State&, int, Args...), int broker,
          std::type_identity_t<Args>... args) {
    const std::string told =
        with_words_ ? fmt::format(fmt::runtime(words), name_of(broker)) : std::string();
    on(kind, told, step, broker, args...);
  }

  void requests(int broker) {
    for (int place = 0; place < kInFlightMax; ++place) {
      const Request& request = now_.connections[broker][place];
      if (request.place == Request::none) break;
      auto with = [&](const char* words) {
        return with_words_
                   ? fmt::format(
                         "{} (batch {}, attempt {}, on the connection to {}, for {} epoch {})",
                         words, request.value, request.attempt, name_of(broker),
                         request.target_1 ? name_of(request.target_1 - 1) : '-', request.epoch)
                   : std::string();
      };
      on(kProgress, with("a request is read"), read_request, broker, place);
      on(kProgress, with("a paused request is forwarded behind others"), forward_waiting, broker,
         place);
      on(kProgress, with("the target reads a forward"), read_forwarded, broker, place);
      on(kProgress, with("an answer is relayed"), relay, broker, place);
    }
    by(kProgress, "the producer takes the answer of {}", take_answer, broker);
    by(kDisturbance, "the pipe from {} to its target breaks", cut_pipe, broker);
    by(kDisturbance, "the producer waits no longer for {}", time_out, broker);
  }

  void leadership(int broker) {
    by(kDisturbance, "{} pauses", pause, broker);
    for (int target = 0; target < world_.budget.brokers; ++target) {
      by(kDisturbance, "{} forwards before the move is committed", forward_early, broker, target);
      on(kDisturbance,
         with_words_
             ? fmt::format("the move from {} to {} commits", name_of(broker), name_of(target))
             : "",
         hand_over, broker, target);
    }
    by(kProgress, "{} goes on", go_on, broker);
    by(kProgress, "{} sees another term, and forwards from now on", release, broker);
    by(kDisturbance, "{} forwards no longer", stop_forwarding, broker);
    by(kDisturbance, "{} fences the leader and takes over", fence, broker);
    by(kDisturbance, "{} is fenced, and leads nothing", fence_another, broker);
    by(kProgress, "{} notices that it is fenced, and ends", notice, broker);
  }

  const World world_;
  const State& now_;
  const bool with_words_;
  const Emit& emit_;
};

}  // namespace
}  // namespace forward

ForwardModel::ForwardModel(ForwardBudget budget, Rules rules) : budget_(budget), rules_(rules) {
  CHECK(budget.brokers <= forward::kBrokersMax && budget.values <= forward::kValuesMax);
  CHECK(budget.in_flight <= forward::kInFlightMax);
  CHECK(budget.values * budget.attempts <= forward::kLogMax);
}

std::string ForwardModel::first() const {
  forward::State state;
  state.brokers[0].epoch = 1;
  return pack_state(state);
}

void ForwardModel::expand(std::string_view packed, bool with_words, const Emit& emit) const {
  const auto now = unpack_state<forward::State>(packed);
  if (now.fault != forward::Fault::none) return;
  forward::Expansion({budget_, rules_}, now, with_words, emit).all();
}

std::optional<std::string> ForwardModel::wrong(std::string_view packed) const {
  const auto fault = unpack_state<forward::State>(packed).fault;
  if (fault == forward::Fault::none) return std::nullopt;
  return std::string(forward::sentence(fault));
}

bool ForwardModel::settled(std::string_view packed) const {
  const auto state = unpack_state<forward::State>(packed);
  for (const forward::Connection& connection : state.connections)
    if (connection[0].place != forward::Request::none) return false;
  for (const forward::Broker& broker : state.brokers)
    if (broker.paused || broker.fenced) return false;
  for (int value = 1; value <= budget_.values; ++value) {
    if (state.acknowledged[value]) continue;
    if (state.attempts[value] < budget_.attempts) return false;
    if (budget_.idempotent) return true;  // it has given up, and nothing more is sent
  }
  return true;
}

}  // namespace paceline::takeover
