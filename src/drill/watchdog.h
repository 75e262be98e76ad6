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
  std::string name;                          // of one fault; told again, it is the new one
  std::optional<LocalProcess> process = {};  // either a signal to it, if it is still the same
  int signal = 0;
  Command command = {};  // or this
};
std::string to_json(const HealAction& action);
Result<HealAction> parse_heal_action(std::string_view json);

// Whoever heals in our place.
class DeadMansSwitch {
 public:
  virtual ~DeadMansSwitch() = default;
  // Before an injection: on return it is registered. unavailable: nobody watches any more.
  virtual Task<Result<void>> guard(HealAction action) = 0;
  // After a heal that was observed.
  virtual void release(std::string name) = 0;
  // It has ended, and has healed everything: nothing may be injected any more.
  virtual bool lost() const = 0;
  // Returns when it has ended; what is still registered is healed.
  virtual Task<void> end() = 0;
};

// The one that there is: a process of its own that heals what is registered with it when the drill
// is gone, or has stood still for five seconds. It ends with the drill, however that ends.
class Watchdog final : public DeadMansSwitch {
 public:
  // `argv` runs watchdog() below; the descriptor and the path of hooks.log are added to it.
  static Result<std::unique_ptr<Watchdog>> start(env::Shard& shard, std::vector<std::string> argv,
                                                 std::string log);
  ~Watchdog() override;  // what is still registered is healed

  Task<Result<void>> guard(HealAction action) override;
  void release(std::string name) override;
  bool lost() const override;
  Task<void> end() override;
  pid_t pid() const;  // 0: it has ended

 private:
  struct State;
  explicit Watchdog(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Task<void> renew(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace paceline::drill
