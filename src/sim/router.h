#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/clients.h"

namespace paceline::sim {

// Which broker one client asks, as a client library knows it: from metadata, and anew after every
// error. Where there is one broker only it is always that one, however long it takes to get there.
class Router {
 public:
  explicit Router(Clients& clients, env::Duration patience = std::chrono::seconds(10));

  // A connection that was whole a moment ago. Null: nobody is known to lead it, or whoever does
  // cannot be reached; a new look is due, and some time should pass before it.
  Task<Link*> leader(Key key);
  Task<Link*> coordinator(uint32_t group);
  Task<Link*> any();
  // Every broker there may be, one after the other: what the last one knows counts.
  Task<void> ask_all();
  // Asks somebody for metadata, doubted or not.
  Task<void> look();

  // What leader() went by; -1: not known.
  int32_t epoch(Key key) const;
  // The answer says that it is not the leader, or there was none.
  void doubt(Key key) { leaders_[key].doubted = true; }
  void doubt_coordinator() { coordinator_.clear(); }

 private:
  struct Leader {
    std::string host;
    int32_t epoch = -1;
    bool doubted = true;
  };
  Task<Link*> reach(const std::string& host);
  Task<bool> refresh();
  Task<bool> learn_from(Link& link);

  Clients& clients_;
  const env::Duration patience_;
  std::map<std::string, Link> links_;  // by host
  std::map<Key, Leader> leaders_;
  std::string coordinator_;
};

}  // namespace paceline::sim
