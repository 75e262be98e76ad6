#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "env/shard.h"
#include "probe/probe.h"

namespace paceline::drill {

// What whoever started the drill sees of it: one live line on a terminal, plain lines elsewhere.
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
  // The live line, with what the load sees. Cheap; it draws four times a second.
  void look(const probe::Glance& glance);

 private:
  void wipe();

  env::Shard& shard_;
  const Kind kind_;
  const env::Instant began_;
  std::string phase_ = "plan";
  env::Instant phase_ends_;
  env::Instant drawn_at_;
  bool drawn_ = false;
  env::Duration longest_wait_{0};
};

// As of standard output.
Progress::Kind progress_kind();
// The live line, without what moves the cursor.
std::string live_line(std::string_view phase, env::Duration left, env::Duration gap,
                      const probe::Glance& glance);

}  // namespace paceline::drill
