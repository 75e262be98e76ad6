#include "takeover/model.h"

#include <fmt/format.h>

#include "base/check.h"
#include "takeover/chain.h"
#include "takeover/steps.h"

namespace paceline::takeover {
namespace {

std::string lane_name(const State& state, int lane) {
  int incarnation = 1;
  for (int i = 0; i < lane; ++i)
    incarnation += state.lanes[i].broker_1 == state.lanes[lane].broker_1;
  return fmt::format("{}.{}", static_cast<char>('A' + broker_of(state, lane)), incarnation);
}

// All steps from one state, in a fixed order.
class Expansion {
 public:
  Expansion(World world, const State& now, bool with_words, const Emit& emit)
      : world_(world), now_(now), with_words_(with_words), emit_(emit) {}

  void all() {
    const int lanes = lane_count(now_);
    for (int lane = 0; lane < lanes; ++lane) {
      flights(lane);
      life(lane, lanes);
      uploads(lane);
      for (int partition = 0; partition < world_.budget.partitions; ++partition) {
        requests(lane, partition);
        recovery(lane, partition);
        moves(lane, partition, lanes);
      }
    }
    for (int broker = 0; broker < world_.budget.brokers; ++broker) restarts(broker);
    for (int partition = 0; partition < world_.budget.partitions; ++partition) pages(partition);
    for (int number = 0; number < now_.calls; ++number) adoptions(number);
    if (world_.budget.objects) objects(lanes);
  }

 private:
  static constexpr StepKind kProgress = StepKind::progress;
  static constexpr StepKind kDisturbance = StepKind::disturbance;

  template <class Step, class Words>
  void attempt(StepKind kind, Step step, Words words) {
    State next = now_;
    if (!step(next)) return;
    judge_durable(world_, next);
    emit_(pack(next), kind, with_words_ ? words(next) : std::string());
  }
  template <class... Args>
  void on(StepKind kind, bool (*step)(World, State&, Args...), const char* words, int lane,
          std::type_identity_t<Args>... args) {
    attempt(
        kind, [&](State& next) { return step(world_, next, args...); },
        [&](const State& next) { return fmt::format("{} {}", lane_name(next, lane), words); });
  }
  template <class... Args>
  void of(StepKind kind, bool (*step)(World, State&, Args...), const char* words, int lane,
          int partition, std::type_identity_t<Args>... args) {
    attempt(
        kind, [&](State& next) { return step(world_, next, args...); },
        [&](const State& next) {
          return fmt::format("{} {} p{}", lane_name(next, lane), words, partition);
        });
  }

  void flights(int lane) {
    for (int i = 0; i < kFlightsMax; ++i) {
      const Flight& put = now_.processes[lane].flights[i];
      if (put.kind == Flight::none) break;
      auto told = [&](const char* words) {
        return [&put, lane, words](const State& next) {
          if (put.batch.move_1 != 0)
            return fmt::format("{} {} of slot {} (adopts p{}, move {})", lane_name(next, lane),
                               words, put.slot, put.batch.partition, put.batch.move_1);
          return fmt::format("{} {} of slot {} (record {}, p{} offset {}, epoch {})",
                             lane_name(next, lane), words, put.slot, put.batch.value,
                             put.batch.partition, put.batch.offset, put.batch.epoch);
        };
      };
      attempt(
          kProgress, [&](State& next) { return store_slot(world_, next, lane, i); },
          told("the store gets the PUT"));
      attempt(
          kProgress, [&](State& next) { return take_answer(world_, next, lane, i); },
          told(put.kind == Flight::stored ? "is told of success" : "is refused the PUT"));
      attempt(
          kDisturbance, [&](State& next) { return lose_answer(world_, next, lane, i); },
          told("loses the answer"));
    }
  }

  void life(int lane, int lanes) {
    on(kDisturbance, sleep, "stands still beyond its requests' deadline", lane, lane);
    on(kDisturbance, crash, "dies", lane, lane);
    on(kProgress, notice_fence, "notices that it is fenced, and ends", lane, lane);
    for (int other = 0; other < lanes; ++other) {
      const StepKind kind = is_running(now_, other) ? kDisturbance : kProgress;
      attempt(
          kind, [&](State& next) { return fence(world_, next, lane, other); },
          [&](const State& next) {
            std::string successors;
            for (int i = 0; i < kLanesMax; ++i)
              if (next.lanes[other].successors >> i & 1) successors += " " + lane_name(next, i);
            return fmt::format("{} fences {}, successors{}", lane_name(next, lane),
                               lane_name(next, other), successors);
          });
      attempt(
          kDisturbance, [&](State& next) { return seal_early(world_, next, lane, other); },
          [&](const State& next) {
            return fmt::format("{} {} {} without a fence", lane_name(next, lane),
                               next.lanes[other].end_1 ? "seals" : "looks for the end of",
                               lane_name(next, other));
          });
    }
  }

  void requests(int lane, int partition) {
    of(kDisturbance, append, "sequences and sends a batch of", lane, partition, lane, partition);
    for (int value = 1; value <= now_.values; ++value)
      attempt(
          kDisturbance, [&](State& next) { return retry(world_, next, lane, partition, value); },
          [&](const State& next) {
            return fmt::format("{} gets record {} of p{} again", lane_name(next, lane), value,
                               partition);
          });
  }

  void recovery(int lane, int partition) {
    of(kDisturbance, open_beforehand, "opens beforehand", lane, partition, lane, partition);
    of(kProgress, begin_recovery, "begins to recover", lane, partition, lane, partition);
    const int next_lane = now_.processes[lane].shares[partition].to_read[0].lane_1 - 1;
    const std::string of_lane = with_words_ && next_lane >= 0 ? lane_name(now_, next_lane) : "";
    of(kProgress, seal_next, fmt::format("seals {} for", of_lane).c_str(), lane, partition, lane,
       partition);
    of(kProgress, read_next, fmt::format("reads the tail of {} for", of_lane).c_str(), lane,
       partition, lane, partition);
    of(kProgress, serve, "looks at its registration and serves", lane, partition, lane, partition);
  }

  void uploads(int lane) {
    on(kProgress, cut_upload, "cuts an upload", lane, lane, false);
    if (world_.budget.objects)
      on(kDisturbance, cut_upload, "cuts an upload with all streams rewritten", lane, lane, true);
    on(kProgress, send_upload, "sends its commit", lane, lane);
    on(kProgress, commit_upload, "has its commit carried out", lane, lane, false);
    on(kDisturbance, commit_upload, "has its commit carried out, and is not told", lane, lane,
       true);
    on(kProgress, read_back_upload, "reads back its commit", lane, lane);
    on(kDisturbance, assume_committed, "takes a lost commit for done, and trims", lane, lane);
    on(kProgress, trim, "trims its log", lane, lane);
    on(kProgress, collect, "is collected", lane, lane);
  }

  void moves(int lane, int partition, int lanes) {
    of(kDisturbance, pause, "pauses", lane, partition, lane, partition);
    of(kProgress, go_on, "goes on with", lane, partition, lane, partition);
    for (int target = 0; target < lanes; ++target)
      attempt(
          kDisturbance,
          [&](State& next) { return call_target(world_, next, lane, partition, target); },
          [&](const State& next) {
            return fmt::format("{} sends its passport of p{} to {} (move {})",
                               lane_name(next, lane), partition, lane_name(next, target),
                               next.calls);
          });
    of(kProgress, release, "sees another term, or does not wait, and releases", lane, partition,
       lane, partition);
    of(kProgress, abort_move, "gives up the move of", lane, partition, lane, partition);
    of(kDisturbance, resume_by_chain, "is the leader again and goes on with", lane, partition, lane,
       partition);
  }

  void adoptions(int number) {
    const int target = now_.moves[number].target_1 - 1;
    if (target < 0) return;
    auto by_target = [&](StepKind kind, bool (*step)(World, State&, int), const char* words) {
      attempt(
          kind, [&](State& next) { return step(world_, next, number); },
          [&](const State& next) {
            return fmt::format("{} {} move {}", lane_name(next, target), words, number + 1);
          });
    };
    by_target(kProgress, take_call, "gets the call of");
    by_target(kProgress, send_adoption, "commits or gives up");
    by_target(kProgress, commit_adoption, "has its transaction carried out or refused:");
    by_target(kProgress, serve_adopted, "learns that it has committed, and serves,");
    by_target(kProgress, give_up_adoption, "gets no answer and forgets");
  }

  void objects(int lanes) {
    for (int object = 0; object < kObjectsMax; ++object) {
      attempt(
          kProgress, [&](State& next) { return collect_object(world_, next, object); },
          [&](const State&) { return fmt::format("object {} is deleted", object); });
      for (int lane = 0; lane < lanes; ++lane)
        attempt(
            kProgress, [&](State& next) { return suspect_object(world_, next, object, lane); },
            [&](const State& next) {
              return fmt::format("a collector finds no trace of object {} in {}", object,
                                 lane_name(next, lane));
            });
    }
  }

  void restarts(int broker) {
    const int old = now_.registered_1[broker] - 1;
    const StepKind kind = old >= 0 && is_running(now_, old) ? kDisturbance : kProgress;
    attempt(
        kind, [&](State& next) { return restart(world_, next, broker); },
        [&](const State& next) {
          return fmt::format("{} registers", lane_name(next, lane_count(next) - 1));
        });
  }

  void pages(int partition) {
    attempt(
        kProgress, [&](State& next) { return materialise(world_, next, partition); },
        [&](const State&) { return fmt::format("the page of p{} is rewritten", partition); });
    for (int broker = 0; broker < world_.budget.brokers; ++broker)
      attempt(
          kDisturbance, [&](State& next) { return prefer(world_, next, partition, broker); },
          [&](const State&) {
            return fmt::format("p{} shall prefer {}", partition, static_cast<char>('A' + broker));
          });
  }

  const World world_;
  const State& now_;
  const bool with_words_;
  const Emit& emit_;
};

}  // namespace

TakeoverModel::TakeoverModel(Budget budget, Rules rules) : budget_(budget), rules_(rules) {
  CHECK(budget.brokers <= kBrokersMax && budget.lanes <= kLanesMax);
  CHECK(budget.brokers <= budget.lanes && budget.partitions <= kPartitionsMax);
  CHECK(budget.values <= kValuesMax && budget.flights <= kFlightsMax);
  CHECK(budget.moves <= kMovesMax);
}

std::string TakeoverModel::first() const {
  State state;
  for (int broker = 0; broker < budget_.brokers; ++broker) {
    state.lanes[broker].broker_1 = static_cast<uint8_t>(broker + 1);
    state.registered_1[broker] = static_cast<uint8_t>(broker + 1);
    state.processes[broker].life = Process::running;
  }
  for (int partition = 0; partition < budget_.partitions; ++partition) {
    const int leader = budget_.leaders[partition];
    state.entries[partition].term = {static_cast<uint8_t>(leader + 1), 1};
    Share& share = state.processes[leader].shares[partition];
    share.role = Share::serving;
    share.epoch = state.epoch_served[partition] = 1;
  }
  return pack(state);
}

void TakeoverModel::expand(std::string_view packed, bool with_words, const Emit& emit) const {
  const State now = unpack(packed);
  if (now.fault != Fault::none) return;
  Expansion({budget_, rules_}, now, with_words, emit).all();
}

std::optional<std::string> TakeoverModel::wrong(std::string_view packed) const {
  const Fault fault = unpack(packed).fault;
  if (fault == Fault::none) return std::nullopt;
  return std::string(sentence(fault));
}

bool TakeoverModel::settled(std::string_view packed) const {
  const State state = unpack(packed);
  for (int lane = 0; lane < lane_count(state); ++lane)
    if (state.lanes[lane].sealed && !state.lanes[lane].collected) return false;
  for (int partition = 0; partition < budget_.partitions; ++partition) {
    const Chain chain = chain_of(state, partition);
    if (!chain.live) return false;
    const int leader = chain.last_lane();
    if (!is_running(state, leader) ||
        state.processes[leader].shares[partition].role != Share::serving)
      return false;
  }
  return !budget_.objects || !has_garbage({budget_, rules_}, state);
}

}  // namespace paceline::takeover
