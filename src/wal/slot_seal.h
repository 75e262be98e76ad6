#pragma once

#include "wal/slot_store.h"

namespace paceline::wal {

// Ends the lane and returns its end, as Wal::seal() says. Starts at `trimmed`; what decides is who
// has the first slot that holds no data. unavailable: the store did not answer; try again.
Task<Result<Position>> seal_slots(SlotStore slots, Position trimmed);

// Deletes all slots of a sealed lane but its seals, as Wal::remove() says.
Task<Result<void>> remove_slots(SlotStore slots);

// Where the lane ends, if a sealer has written it down.
Task<Result<std::optional<Position>>> read_end(SlotStore slots);

}  // namespace paceline::wal
