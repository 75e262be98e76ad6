#pragma once

#include <vector>

#include "stream/sealed_log.h"
#include "stream/stream.h"

namespace paceline::stream {

// A piece of a log that one heir of a lane has read, for another one: docs/format/peer_calls.md,
// kind
// 12. Never persisted; frames between brokers have a checksum.
struct LogPart {
  bool there = false;              // else it is not read yet, and the rest means nothing
  Position end;                    // of the lane
  uint32_t next = 0;               // the group that the next piece begins with
  bool last = false;               // nothing follows
  std::vector<wal::Group> groups;  // those that have something of what was asked for
};

// Of payloads in one piece; it is more by one group at most.
inline constexpr uint64_t kLogPartBytes = 8ull << 20;

Slice encode_not_yet();
// What `log` has of the question's streams from its group on. REQUIRES: it is whole.
Slice encode_log_part(const SealedLog& log, const LogQuestion& question);
// Payloads are slices of `bytes`. corrupt: anything does not hold.
Result<LogPart> decode_log_part(const Slice& bytes);

}  // namespace paceline::stream
