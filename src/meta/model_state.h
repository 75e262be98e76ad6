#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/shard.h"
#include "meta/store.h"

namespace paceline::meta {

// What an etcd knows: keys, history, leases. Pure: time is the caller's.
class ModelState {
 public:
  std::optional<Entry> get(const std::string& key) const;
  Range range(const std::string& from, const std::string& to, size_t count_max) const;
  // conflict, or not_found: a lease has ended.
  Result<Revision> commit(const Transaction& transaction);
  // All changes under `prefix` after a revision.
  Result<std::vector<Change>> changes(const std::string& prefix, Revision after) const;
  void compact();
  void take_revision() { ++revision_; }  // for a write under somebody else's prefix
  Revision revision() const { return revision_; }

  LeaseId grant(std::chrono::seconds ttl, env::Instant end);
  bool keep_alive(LeaseId lease, env::Instant now, env::Duration over);
  void end_lease(LeaseId lease);
  void end_leases();
  void renew_leases(env::Instant from);  // none ends before `from` and its ttl
  std::optional<LeaseId> lease_due(env::Instant now) const;
  env::Instant next_end() const;  // of a lease; never() if there is none

 private:
  struct Kept {
    Entry entry;
    LeaseId lease;
  };
  struct LeaseTerm {
    std::chrono::seconds ttl;
    env::Instant end;
    std::set<std::string> keys;
  };
  bool holds(const Compare& compare) const;
  void put(const Write& write, Revision revision);
  bool remove(const std::string& key, Revision revision);
  void detach(const std::string& key, LeaseId lease);

  std::map<std::string, Kept> keys_;
  std::deque<Change> history_;
  Revision compacted_{0};
  Revision revision_{1};  // etcd's, of an empty store
  std::map<LeaseId, LeaseTerm> leases_;
  int64_t next_lease_ = 1;
};

}  // namespace paceline::meta
