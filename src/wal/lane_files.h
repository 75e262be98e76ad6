#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wal/format.h"

namespace paceline::wal {

// The folder of one lane and the names in it. All calls block; they may come from any thread.
//
//   LANE        empty; whoever creates it owns the lane. Never deleted.
//   <n>.wal     segments, from 1
//   <n>.spare.tmp   what was segment n, trimmed, until it becomes another one
//   SEAL        empty; from its creation on nothing is acknowledged. Never deleted.
//   END         the durable end, decided by whoever creates it first. Never deleted.
struct LaneFiles {
  struct Prepared {
    std::shared_ptr<env::File> file;
    bool written = false;  // all over, by a former life
  };

  env::Disk* disk;
  Owner owner;
  std::string folder;

  std::string claim_path() const { return folder + "/LANE"; }
  std::string seal_path() const { return folder + "/SEAL"; }
  std::string end_path() const { return folder + "/END"; }
  std::string segment_path(uint64_t number) const;
  std::string spare_path(uint64_t number) const;

  // already_exists if the lane was created, or sealed, before.
  Result<void> claim() const;
  // Numbers of the segments there, ascending; none if there is no folder.
  Result<std::vector<uint64_t>> segments() const;
  // An open segment of at least `bytes` whose space and name are durable, made of the spare of that
  // number if there is one. no_space leaves nothing.
  Result<Prepared> prepare_segment(uint64_t number, uint64_t bytes,
                                   std::optional<uint64_t> spare) const;
  // Makes a spare of a segment; the caller syncs the folder. not_found if it is not there.
  Result<void> retire_segment(uint64_t number) const;
  // Idempotent; durable on return, whoever created it. Makes the folder if need be.
  Result<void> create_seal() const;
  Result<std::optional<LaneEnd>> read_end() const;
  // Proposes `end`, with the marks of the last commit below it, and returns what was decided;
  // durable on return. `unique` names a temporary file.
  Result<Position> decide_end(Position end, std::string marks, uint64_t unique) const;
};

}  // namespace paceline::wal
