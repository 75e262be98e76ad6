#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wal/marks.h"
#include "wal/slot_store.h"

namespace paceline::wal {

// What stands behind a header: entries, index and trailer. Nothing unless all checksums hold.
// Pure. `body` starts behind the header.
struct SlotBody {
  std::vector<Entry> entries;   // without the log's own
  std::optional<Marks> before;  // what the slot before did
};
std::optional<SlotBody> decode_slot_body(const SlotHeader& header, const Slice& body);

// What a reader learns of one slot.
struct Fetched {
  enum class What {
    whole,
    seal,
    missing,  // as long as the reader's patience
    damaged,  // read again and again, and never what was written
    ended,    // nobody waits any more
  };
  What what = What::missing;
  SlotHeader header;                         // whole, seal
  SlotBody body;                             // whole
  std::string why;                           // damaged
  std::optional<std::vector<SlotRow>> rows;  // damaged: its index, if that can be read
};
// A store that fails is waited for. `must_exist`: what is not there is looked for again.
Task<Fetched> fetch_slot(SlotStore slots, uint64_t sequence, bool must_exist);

// Whether there is a slot, and what its header says. `damaged`: there, and not readable.
struct Probed {
  enum class What { absent, data, seal, unknown };
  What what = What::absent;
  SlotHeader header;  // zero where it cannot be read
  Error error;        // unknown: why
};
Task<Probed> probe_slot(SlotStore slots, std::string key, uint64_t sequence, size_t tries_max);

}  // namespace paceline::wal
