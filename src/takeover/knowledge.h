#pragma once

#include "takeover/steps.h"

// What the durable parts say of a stream: directories, logs, passports. Recovery and the judge read
// them with the same code.

namespace paceline::takeover {

// Two pieces of knowledge of one stream meet: both are beginnings of one history, so what reaches
// further has all of the other. In a tie what is there stays.
void meet(World, Knowledge& known, const Knowledge& other);

enum class Applied : uint8_t { fine, hole };
// An entry of a log, in the order of the log.
Applied apply(World, const State&, Knowledge& known, const Batch& entry, int partition);

// All that a broker would find which now recovered from the lane in force.
Knowledge find_out(World, const State&, int partition);

}  // namespace paceline::takeover
