#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "peer/peer.h"

namespace paceline::app {

// Whom a parent process tells of the end of its broker. Hosts are numeric: names would have to be
// looked up at the worst moment.
struct GuardianNews {
  Uuid cluster_id;
  Lane self;
  std::vector<peer::Address> peers;
  bool operator==(const GuardianNews&) const = default;
};
std::string encode(const GuardianNews& news);
Result<GuardianNews> decode_news(std::string_view text);

// The broker's way to its parent process.
class GuardianReport {
 public:
  explicit GuardianReport(int fd) : fd_(fd) {}
  GuardianReport(const GuardianReport&) = delete;
  GuardianReport& operator=(const GuardianReport&) = delete;
  ~GuardianReport();
  // Replaces what was said before; it never waits. unavailable: the parent is behind, say it again;
  // too_large: more peers than a message holds.
  Result<void> send(const GuardianNews& news);

 private:
  const int fd_;
};

// Splits the process in two and returns in the child, which becomes the broker. The parent stays
// tiny and watches: the kernel takes a dying process's memory down (66-85 ms a GiB) before it
// closes its sockets, and a robust mutex that the broker's first thread holds is given up before
// that. Then the parent tells all peers, waits for the child, tells them its status and ends with
// it: by the same signal or with the same code, so that a supervisor sees one process. Signals that
// are sent to the parent are passed on.
//
// A parent that is killed takes the broker along (PR_SET_PDEATHSIG): `kill -9` of what an operator
// has started must end it, and nobody serves on behind a supervisor's back.
//
// REQUIRES: one thread, which lives as long as the process, and no memory to speak of.
GuardianReport split_off_guardian();

}  // namespace paceline::app
