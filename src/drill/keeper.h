#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "env/shard.h"
#include "evidence/event.h"
#include "evidence/ledger.h"
#include "evidence/run.h"

namespace paceline::drill {

// Keeps the evidence of one run, as it comes: numbers it, and writes it behind everybody's back,
// each second and when told. Nobody waits for the disk but flush().
class Keeper {
 public:
  // Makes the folder and what is in it. already_exists: there is such a run.
  static Task<Result<std::unique_ptr<Keeper>>> open(env::Shard& shard, std::string folder,
                                                    std::string run_id, std::string plan_text);
  // Keeps nothing: for those who only look.
  static std::unique_ptr<Keeper> nowhere(env::Shard& shard);
  ~Keeper();

  // Gives run, number, time and clock error, where they are not told; returns the event's id. What
  // a broker said keeps its own number.
  std::string add(evidence::Event event);
  void add(const evidence::LedgerRow& row);
  void add_hook_line(std::string line);
  // What run.json is to say from now on.
  void describe(evidence::Run run);
  // All of it is written, but not synced. An error stays.
  Task<Result<void>> flush();
  // The same, and nobody waits for it.
  void write_soon();
  // Why evidence is lost; empty: none is.
  const std::string& failure() const;

  // An event of the runner itself.
  evidence::Event event(std::string_view type) const;
  const std::string& folder() const;
  std::string path(std::string_view name) const;
  // Sees each event of the timeline when it is added.
  void listen(std::function<void(const evidence::Event&)> listener);

 private:
  struct State;
  explicit Keeper(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Task<void> write_on(std::shared_ptr<State> state);
  static Task<void> write_once(std::shared_ptr<State> state);
  static Task<Result<void>> write_all(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace paceline::drill
