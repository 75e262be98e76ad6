#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "peer/peer.h"

namespace paceline::app {

// Whom a guardian tells of the end of its broker. Hosts are numeric: names would have to be looked
// up at the worst moment.
struct GuardianNews {
  Uuid cluster_id;
  Lane self;
  std::vector<peer::Address> peers;  // none: nobody, the broker ends as planned
  bool operator==(const GuardianNews&) const = default;
};
std::string encode(const GuardianNews& news);
Result<GuardianNews> decode_news(std::string_view text);

// The broker's way to its guardian.
class GuardianReport {
 public:
  GuardianReport(int fd, int pid) : fd_(fd), pid_(pid) {}
  GuardianReport(const GuardianReport&) = delete;
  GuardianReport& operator=(const GuardianReport&) = delete;
  ~GuardianReport();
  // Replaces what was said before; it never waits. unavailable: the guardian is gone, or behind;
  // too_large: more peers than a message holds.
  Result<void> send(const GuardianNews& news);
  int pid() const { return pid_; }  // of the guardian

 private:
  const int fd_;
  const int pid_;
};

// Starts a tiny child process that outlives the caller, which is the broker, by a moment. The
// kernel takes a dying process's memory down (66-85 ms a GiB) before it closes its sockets, and a
// robust mutex that the broker's first thread holds is given up before that. Then the guardian
// tells all peers, and ends when the broker has ended wholly.
//
// Nothing depends on it: the broker has the process id, the parent and the exit status that it
// would have without, signals for both are the broker's alone, and a guardian that is killed is
// missed only by peers that learn of the broker's end a little later.
//
// Null, with a line in the log: the system does not let us.
//
// REQUIRES: the caller is the process's first thread, and no memory to speak of is in use yet.
std::unique_ptr<GuardianReport> start_guardian();

}  // namespace paceline::app
