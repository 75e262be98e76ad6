#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "env/shard.h"
#include "probe/probe.h"

namespace paceline::drill {

// What whoever started the drill sees of it: one live line on a terminal; elsewhere plain lines,
// with what the load sees every five seconds and at the end of each phase.
class Progress {
 public:
  // `terminal`: the live line is written. `quiet`: nothing is, for tests.
  enum class Kind { quiet, plain, terminal };
  Progress(env::Shard& shard, Kind kind);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // "2 baseline", and for how long it lasts; 0: nobody knows.
  void phase(std::string_view name, env::Duration lasts);
  // A line that stays.
  void say(std::string_view line);
  // What the load sees. Cheap; the live line is drawn four times a second.
  void look(const probe::Glance& glance);

 private:
  void wipe();
  void say_figures();

  env::Shard& shard_;
  const Kind kind_;
  const env::Instant began_;
  std::string phase_ = "plan";
  env::Instant phase_ends_;
  env::Instant drawn_at_;
  bool drawn_ = false;
  env::Duration longest_wait_{0};
  std::optional<probe::Glance> unsaid_;  // since the last plain line with figures
  env::Instant said_at_;
};

// As of standard output.
Progress::Kind progress_kind();
// The live line, without what moves the cursor.
std::string live_line(std::string_view phase, env::Duration left, env::Duration gap,
                      const probe::Glance& glance);

}  // namespace paceline::drill
