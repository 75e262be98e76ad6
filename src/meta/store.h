#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/disk.h"
#include "env/shard.h"

// The metadata store: a versioned key-value space with compare-and-swap transactions, watches and
// leases. SQLite implements it on one machine, etcd beyond. Limits are etcd's: 128 operations a
// transaction, 1 MiB a value, one operation a key. Any shard may call; the shard given is the
// caller's own. Revisions are the store's: where others write to it too they have gaps for us.

namespace paceline::meta {

struct Entry {
  std::string key;
  std::string value;
  Revision created;   // of the transaction that created the key
  Revision modified;  // of the last transaction that wrote it
};

// Of a lease while it lives; 0 is none.
using LeaseId = Strong<struct LeaseIdTag, int64_t>;
struct Lease {
  LeaseId id;
  std::chrono::seconds ttl;  // may be longer than what was asked for
};

struct Compare {
  enum class What { absent, exists, modified_equals, value_equals };
  std::string key;
  What what = What::exists;
  Revision modified{};
  std::string value;
};
struct Write {
  enum class What { put, remove };  // removing an absent key is fine
  What what = What::put;
  std::string key;
  std::string value;
  LeaseId lease{};  // of a put: the key is removed when this lease ends, unless it is put again
};

// All compares hold and all writes happen at one revision, or nothing happens.
struct Transaction {
  std::vector<Compare> compares;
  std::vector<Write> writes;

  Transaction& if_absent(std::string key);
  Transaction& if_exists(std::string key);
  Transaction& if_modified_at(std::string key, Revision revision);
  Transaction& if_value(std::string key, std::string value);
  Transaction& put(std::string key, std::string value, LeaseId lease = {});
  Transaction& remove(std::string key);
};

struct Range {
  std::vector<Entry> entries;  // in key order
  Revision revision;           // of the snapshot they were read at
  bool more = false;           // the limit cut it
};

struct Change {
  Revision revision;
  std::string key;
  std::optional<std::string> value;  // nothing = removed
};

// Every change under a prefix, in order of revision, each revision whole. Owned by the shard that
// asked; destroying it ends the watch.
class Watch {
 public:
  virtual ~Watch() = default;
  // Waits for changes; compacted: the history is gone, list again and watch from that revision.
  virtual Task<Result<std::vector<Change>>> next() = 0;
  // Ends a pending next() with cancelled.
  virtual void cancel() = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual Task<Result<std::optional<Entry>>> get(env::Shard& shard, std::string key) = 0;
  // Entries with from <= key < to; an empty `to` is no end. At least one may be asked for.
  virtual Task<Result<Range>> range(env::Shard& shard, std::string from, std::string to,
                                    size_t count_max) = 0;
  // The revision of the commit; conflict: a compare did not hold; not_found: a lease of it has
  // ended; maybe_written: read back.
  virtual Task<Result<Revision>> commit(env::Shard& shard, Transaction transaction) = 0;
  // Changes with revision > after.
  virtual Result<std::unique_ptr<Watch>> watch(env::Shard& shard, std::string prefix,
                                               Revision after) = 0;

  // A lease ends when nobody has kept it alive for its ttl, or when it is revoked: all keys put
  // with it are removed at one revision. It may live longer than its ttl (after a change of etcd's
  // leader by some seconds), so its end says when to try; only a compare says who wins.
  virtual Task<Result<Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) = 0;
  // From now on for its whole ttl again. not_found: it has ended, and its keys are gone.
  virtual Task<Result<void>> keep_alive(env::Shard& shard, LeaseId lease) = 0;
  // Fine if it has ended already.
  virtual Task<Result<void>> revoke(env::Shard& shard, LeaseId lease) = 0;
};

// Everything under `prefix`, in pages of 1,000, at growing revisions: first.revision is the one to
// watch after.
Task<Result<Range>> range_prefix(Store& store, env::Shard& shard, std::string prefix);
// The end of the range of keys that start with `prefix`; empty, which means no end, if there is
// none.
std::string prefix_end(std::string prefix);

// One file on `disk`, in SQLite's WAL mode with full syncs. Only one process may have it open
// (in_use otherwise). `disk` and `shard` (where its callbacks live) must outlive it.
Result<std::unique_ptr<Store>> open_sqlite_store(env::Disk& disk, env::Shard& shard,
                                                 std::string path);

}  // namespace paceline::meta
