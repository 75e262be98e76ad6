#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "stream/types.h"

// The directory of an object: what became of the streams it touches (a delta) or the whole of all
// streams of the broker (a checkpoint, sorted, with a table of offsets so that one stream is found
// without reading the others).

namespace paceline::stream {

struct DirectoryRecord {
  StreamId stream;
  bool erased = false;  // forgotten for good; nothing else counts then
  Offset start;
  Offset end;           // uploaded: everything below is in objects
  Epoch epoch{-1};      // of the last batch
  Offset snapshot_end;  // the owner's snapshot covers what is below; at most `end`
  std::string snapshot;
  std::string offline;          // not empty: why the stream may not be served
  std::vector<Extent> extents;  // delta: the new ones; checkpoint: all
  bool operator==(const DirectoryRecord&) const = default;
};

struct Directory {
  bool checkpoint = false;
  std::vector<DirectoryRecord> records;  // by stream
};

// REQUIRES: records sorted by stream, no stream twice.
std::string encode_directory(const ObjectId& id, const Directory& directory);
Result<Directory> decode_directory(const ObjectId& id, Bytes bytes);
// The record of one stream, by binary search; the checksum of all is verified first.
Result<std::optional<DirectoryRecord>> find_in_directory(const ObjectId& id, Bytes bytes,
                                                         const StreamId& stream);

}  // namespace paceline::stream
