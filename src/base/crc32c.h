#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace paceline {

// CRC32C (Castagnoli), as Kafka and every format of ours uses it. `crc32c(b, crc32c(a))` is the
// checksum of a followed by b. Short inputs go through the CPU's own instruction, long ones through
// ISA-L (46 GB/s against 9 measured at 4 KiB).
uint32_t crc32c(Bytes bytes, uint32_t seed = 0);

// The checksum of a followed by b, from both checksums and the length of b alone: some 20 ns.
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_bytes);

}  // namespace paceline
