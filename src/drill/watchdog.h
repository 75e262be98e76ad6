#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drill/local_process.h"
#include "drill/program.h"
#include "env/shard.h"

namespace paceline::drill {

// What makes a fault undone; doing it twice does no harm.
struct HealAction {
  std::string name;                        // of one fault; told again, it is the new one
  std::optional<LocalProcess> process = {};  // either a signal to it, if it is still the same
  int signal = 0;
  Command command = {};  // or this
};
std::string to_json(const HealAction& action);
Result<HealAction> parse_heal_action(std::string_view json);

// The dead-man's switch: a process of its own that heals what is registered with it when the drill
// is gone, or has stood still for five seconds. It ends with the drill, however that ends.
class Watchdog {
 public:
  // `argv` runs watchdog() below; the descriptor and the path of hooks.log are added to it.
  static Result<std::unique_ptr<Watchdog>> start(env::Shard& shard, std::vector<std::string> argv,
                                                 std::string log);
  ~Watchdog();  // what is still registered is healed

  // Before an injection: on return it is registered. unavailable: nobody watches any more.
  Task<Result<void>> guard(HealAction action);
  // After a heal that was observed.
  void release(const std::string& name);
  // It has ended, and has healed everything: nothing may be injected any more.
  bool lost() const;
  pid_t pid() const;
  // Returns when it has ended; what is still registered is healed.
  Task<void> end();

 private:
  struct State;
  explicit Watchdog(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Task<void> renew(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace paceline::drill
