#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "drill/drill.h"
#include "drill/keeper.h"
#include "drill/plan.h"
#include "drill/progress.h"
#include "drill/saboteur.h"
#include "drill/simulate.h"
#include "drill/target.h"
#include "drill/watchdog.h"
#include "probe/probe.h"

namespace paceline::drill {

using StartLoad = std::function<Task<Result<std::unique_ptr<probe::Load>>>(
    env::Shard&, probe::Options, probe::Witness)>;

// Why a run does not go on.
enum class Halt { none, interrupted, guarded, refused, failed };

// One run on its way through the phases, and what they share. One shard's; each phase is a file
// (phase_*.cc), and its verbs are the functions below.
struct Course {
  Course(env::Shard& on, RunOptions with, Plan what)
      : shard(on), options(std::move(with)), plan(std::move(what)) {}
  Course(const Course&) = delete;
  Course& operator=(const Course&) = delete;

  env::Shard& shard;
  const RunOptions options;
  const Plan plan;
  std::unique_ptr<Target> target;
  std::unique_ptr<Keeper> keeper;
  std::unique_ptr<DeadMansSwitch> watchdog;
  std::unique_ptr<Progress> progress;
  StartLoad start_load;
  env::Duration patience = std::chrono::seconds(60);  // with what has to become whole again
  env::Duration warm = std::chrono::seconds(3);       // of a load that has begun
  env::Duration canary = std::chrono::seconds(3);     // after its move
  env::Duration after_heal = std::chrono::seconds(10);

  std::unique_ptr<Saboteur> saboteur;
  std::unique_ptr<probe::Load> load;
  evidence::Run run;
  ClusterView before;                         // as the first step finds it
  std::vector<Hit> hits;                      // of the plan's steps, as they were simulated
  CleanUp made;                               // what is to be removed
  std::vector<int32_t> brokers;               // who was there
  std::vector<std::string> events_of_canary;  // types that were seen while it moved
  std::optional<double> clock_bound_ms;
  int64_t replicas = 1;         // of the load's topics
  bool transactions = false;    // of the load's transfers
  env::Instant tolerant_until;  // errors until then are what we came for
  Halt halt = Halt::none;
  std::string reason;

  // The first reason stands.
  void stop(Halt why, std::string because);
  bool stopped() const { return halt != Halt::none; }
  // True: on to the next; false: it has stopped meanwhile. Looks after guards, and at whoever
  // interrupts, all the time.
  Task<bool> wait(env::Duration duration);
  void look_after();
  // Where nothing is waited for.
  void heed_interrupt();
  // Errors are expected from now on, for the guard's window.
  void expect_errors();

  evidence::Event event(std::string_view type) const { return keeper->event(type); }
  std::string add(evidence::Event event) { return keeper->add(std::move(event)); }
  // Each thing that is done to the target and is no fault.
  std::string act(std::string_view action, std::string_view what, std::string_view outcome);
  void note_storage(std::string_view when, const StorageFigures& figures);
  void note_leaders(std::string_view when, const ClusterView& view);
};

// Its beginning and its end are events, and so is what lies between them.
class Phase {
 public:
  Phase(Course& course, std::string_view phase, std::string_view name, std::string step = {},
        env::Duration lasts = {});
  ~Phase();
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;

 private:
  evidence::Event about(std::string_view type) const;
  Course& course_;
  const std::string phase_, name_, step_;
};

// P0: stops as `refused` if anything would be unsafe.
Task<void> plan_phase(Course& course);
// Whether the transfers are to be transactions: as the plan says, or as the target takes them.
Task<void> choose_transactions(Course& course);
// Makes the topics and starts the load; P1.
Task<void> readiness_phase(Course& course);
// P2.
Task<void> baseline_phase(Course& course);
// P3 to P5 of one step. Whatever happens: it is healed, or it says that it is not.
Task<void> fault_phases(Course& course, Hit hit, const Plan::Step& step);
// The load ends; P6, and N7 where the plan asks for it.
Task<void> cleanup_phase(Course& course);
// P7, and what was kept for it goes.
Task<void> read_back_phase(Course& course);

// Puts leaders back to where `course.before` had them. For all topics that are ours to move.
Task<void> roll_back(Course& course);
// `plan.simulated`.
void note_outlook(Course& course, const Outlook& outlook);
// Pings who tells the time, and notes how wrong it may be.
Task<void> measure_clocks(Course& course);
// Ours, or there is nobody else's here.
bool ours_to_move(const Course& course, const ClusterView::Topic& topic);
// "paceline-drill-": what earlier runs may have left.
inline constexpr std::string_view kTopicPrefix = "paceline-drill-";

// Names and answers of P1, pure.
struct Readiness {
  std::string item;
  std::string pass = {}, measured = {}, limit = {}, evidence = {};
  int64_t valid_for_s = 86'400;
};
// `answering`: brokers that answer at the addresses they tell. `bootstrap`: HOST:PORT, with commas.
Readiness check_routing(const ClusterView& view, std::string_view bootstrap,
                        const std::set<int32_t>& answering);
Readiness check_rollback_readiness(const Plan& plan, const std::string& owner, int64_t now_ms);
Readiness check_observability(const std::vector<std::string>& types_seen,
                              const std::vector<std::string>& observes,
                              std::optional<double> clock_bound_ms);

}  // namespace paceline::drill
