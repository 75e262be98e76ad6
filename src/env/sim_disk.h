#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/random.h"
#include "env/shard.h"
#include "env/sim_bytes.h"

namespace paceline::env {

// A disk in memory that can lose power, and fails as told. Bytes of a file are durable after its
// sync(), names after sync_dir(); folders at once. It stays when the process that used it ends; its
// handles of that process do not.
class SimDisk final : public Disk {
 public:
  struct Faults {
    // The sync fails. Each unsynced write of the file is durable or not, by chance, and the system
    // forgets which: the next sync succeeds and writes none of them, though reads still show them.
    double sync_error = 0;
    double read_error = 0;
    double write_error = 0;  // a prefix may have been written
    double bit_flip = 0;     // one bit of what a read returns is wrong; the stored bytes are not
    double slow_sync = 0;    // the sync takes up to slow_sync_max, see take_delay()
    Duration slow_sync_max = std::chrono::seconds(5);
    uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();  // no_space above it
    uint32_t failing_syncs = 0;   // the next ones fail, as sync_error, then all is well again
    uint32_t failing_writes = 0;  // the next ones fail, as write_error
  };

  explicit SimDisk(uint64_t seed);
  ~SimDisk() override;

  Faults& faults() { return faults_; }
  // After `changes` more successful changes (writes, syncs, names), every call fails with io_error
  // and changes nothing, until crash().
  void power_off_after(uint64_t changes) { changes_left_ = changes; }
  // No more than this fits beside what is there; nothing: faults().capacity_bytes has no bound.
  void fill_up(std::optional<uint64_t> room) {
    faults_.capacity_bytes = room ? bytes_used() + *room : std::numeric_limits<uint64_t>::max();
  }
  bool powered_off() const { return powered_off_; }
  uint64_t changes() const { return changes_; }

  // The power went and is back: of what was not durable, each write is there or not by chance, the
  // last one of a file perhaps in part; each name as well. All handles and locks are void.
  void crash();
  // The disk is thrown away, and an empty one is in its place. REQUIRES: no process uses it.
  void replace();
  // The process that used it has ended, the machine has not: handles and locks are void, no more.
  void forget_handles();
  // How long the calls since the last take_delay() have taken.
  Duration take_delay() { return std::exchange(delay_, Duration(0)); }
  // The calls since have taken longer: what they asked for lies elsewhere.
  void add_delay(Duration delay) { delay_ += delay; }
  // Bit rot: flips one bit of what is stored, durable or not. not_found, out_of_range.
  Result<void> flip_stored_bit(const std::string& path, uint64_t bit);

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> rename_new(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<void> make_dirs(const std::string& dir) override;
  Result<void> remove_dir(const std::string& dir) override;
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& dir) override;

 private:
  friend class SimFile;
  friend class SimLock;
  struct Change {  // of one file's bytes: a write, or a new size
    uint64_t position = 0;
    std::optional<std::string> bytes;
    void apply(SimBytes& to) const;
  };
  struct Inode {
    SimBytes live;
    SimBytes durable;
    std::vector<Change> unsynced;
  };
  // The name `from`, if any, goes; the name `to`, if any, is now `inode`.
  struct NameChange {
    std::string from;
    std::string to;
    std::shared_ptr<Inode> inode;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // Whether this call fails: by chance, or because it is one of the next ones that must.
  bool fails(double chance, uint32_t& next_ones);
  Result<void> powered();
  Result<void> begin_change();
  void change_names(NameChange change);
  static void apply(const NameChange& change, Names& names);
  void lose_bytes(Inode& inode, uint64_t mode);
  Change torn(const Change& change);
  uint64_t bytes_used() const;
  bool dir_exists(const std::string& dir) const;
  Result<void> check_parent(const std::string& path) const;

  Random random_;
  Faults faults_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> unsynced_names_;
  std::set<std::string> dirs_;
  std::set<std::string> locks_;
  uint64_t life_ = 0;  // handles of an earlier one are void
  uint64_t changes_ = 0;
  std::optional<uint64_t> changes_left_;
  bool powered_off_ = false;
  Duration delay_{0};
};

}  // namespace paceline::env
